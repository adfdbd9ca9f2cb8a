"""Exact graph rewrites, one per file in ``rewrites/``, run to a fixed point and proven on real inputs."""

from __future__ import annotations

from edge.fusion.driver import Applied, Fused, Refused, fuse, safe_rewrites
from edge.fusion.registry import REWRITES

__all__ = ["REWRITES", "Applied", "Fused", "Refused", "fuse", "safe_rewrites"]
