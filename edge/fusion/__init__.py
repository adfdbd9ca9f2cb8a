"""Exact graph rewrites, one per file in ``rewrites/``, run to a fixed point and proven on real inputs."""

from __future__ import annotations

from edge.fusion.driver import Applied, Fused, Refused, fuse, safe_rewrites
from edge.fusion.registry import REWRITES
from edge.search.choice import choose

__all__ = ["REWRITES", "Applied", "Fused", "Refused", "choose", "fuse", "safe_rewrites"]
