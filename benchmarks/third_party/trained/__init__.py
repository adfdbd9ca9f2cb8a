"""Three networks that no one here wrote, trained for minutes: ``python -m benchmarks.third_party.trained``."""
