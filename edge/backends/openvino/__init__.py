"""OpenVINO behind the protocol of ``engine.py``."""
