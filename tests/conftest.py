"""Being here puts ``tests/`` on the path, so that any test can ``from fixtures.<file> import ...``."""
