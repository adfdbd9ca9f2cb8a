"""Fuse for a target: measured where the target is this machine, trusted rewrites where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.fusion import Fused, choose, fuse
from edge.model import Model
from edge.target import Target
from edge.trial import time_candidates


def fuse_for_target(
    model: Model,
    target: Target,
    inputs: Sequence[NDArray[np.float32]],
    threads: int | None = None,
    seconds: float = 60.0,
) -> Fused:
    """Rewrite exactly, with the set of rewrites that is fastest on the target.

    Args:
        model: the source graph.
        target: measured where it is local; otherwise its table of safe rewrites is taken as it is.
        inputs: images on which every step is proven.
        threads: CPU threads of the measurement.
        seconds: no further round of measurements starts after this long.
    """
    if not target.local:
        return fuse(model, target.safe_rewrites or None, inputs)
    precision = fastest_float(target)

    def time(models: Sequence[Model]) -> list[float]:
        return time_candidates([Candidate(m.name, precision, precision, m) for m in models], target, threads)

    return choose(model, inputs, time, seconds)


def fastest_float(target: Target) -> str:
    """The smallest float precision that really runs on the target: rewrites are measured in it."""
    backend = find_backend(target.backend)
    return next(p for p in ("fp16", "bf16", "fp32") if backend.refusal(p, target) is None)
