"""SegEdge: the fastest engine for your device that still segments as well, with the proof."""

__version__ = "0.1.0"
