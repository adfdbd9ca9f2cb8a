"""Half an hour on an NVIDIA machine turned into evidence: ``python -m benchmarks.gpu --out DIR [--budget 25m]``."""
