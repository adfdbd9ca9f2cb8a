"""Fuse for a target: measured where the target is this machine, trusted rewrites where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.fusion import Fused, choose, fuse
from edge.graph.model import Model
from edge.search.trial import try_candidates
from edge.targets.target import Target

TOLERATED_DB = 1.5
PENALTY_PER_DB = 0.2


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

    exact = np.concatenate([reference(model).run(image) for image in inputs])
    task = model.task

    def cost(models: Sequence[Model]) -> list[float]:
        candidates = [Candidate(m.name, precision, precision, m) for m in models]
        trials = try_candidates(candidates, inputs, target, threads)
        # The source comes first: what this precision loses without any rewrite is the yardstick.
        losses = [-clipped_sqnr_db(exact, trial.outputs, task) for trial in trials]
        return [trial.ms * _penalty(loss - losses[0]) for trial, loss in zip(trials, losses, strict=True)]

    return choose(model, inputs, cost, seconds)


def _penalty(lost_db: float) -> float:
    """Factor on a graph's time for what it loses more than the source does in the same precision.

    Rewrites are exact in real numbers; in BF16 some forms (a variance as a difference of large sums) are not.
    """
    return 1.0 + PENALTY_PER_DB * max(0.0, lost_db - TOLERATED_DB)


def fastest_float(target: Target) -> str:
    """The smallest float precision that really runs on the target: rewrites are measured in it."""
    backend = find_backend(target.backend)
    return next(p for p in ("fp16", "bf16", "fp32") if backend.refusal(p, target) is None)
