"""Fuse for a target: with the set of rewrites that is fastest there, or on trust where it cannot be timed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.fusion import Fused, fuse
from edge.graph.model import Model
from edge.latency.race import relative_to_fastest
from edge.quantization.ranges import Convergence, Ranges
from edge.search.bench import Bench, Effort, Refusal
from edge.search.choice import choose
from edge.search.deadline import Deadline
from edge.search.dialect import GraphRequest
from edge.search.plain_candidates import FLOATS
from edge.targets.target import Target

TOLERATED_DB = 1.5
PENALTY_PER_DB = 0.2
_EFFORT = Effort(0.3, 12, undecided_seconds=0.3)  # a race: of a dozen graphs most are clearly slower
NO_RANGES = Ranges({}, 0, "", Convergence((), (), ()))


def fuse_for_target(
    model: Model, target: Target, bench: Bench, inputs: Sequence[NDArray[np.float32]], deadline: Deadline
) -> Fused:
    """Rewrite exactly, with the set of rewrites that is fastest on the target.

    Args:
        model: the source graph.
        target: its table of safe rewrites is taken where the bench has no times.
        bench: measures.
        inputs: images on which every step is proven.
        deadline: of measurements.
    """
    if not bench.measured:
        return fuse(model, target.safe_rewrites or None, inputs)
    precision = fastest_float(bench)
    exact = np.concatenate([reference(model).run(image) for image in inputs])

    def cost(models: Sequence[Model]) -> list[float]:
        written = {index: made for index, m in enumerate(models) if (made := _written(m, precision, bench)) is not None}
        times = bench.times(list(written.values()), inputs, _EFFORT) or []
        found = dict(zip(written, times, strict=True))
        relative = relative_to_fastest([row.compute for row in times if not isinstance(row, Refusal)])
        costs, yardstick = [], 0.0
        for index in range(len(models)):
            row = found.get(index)
            if row is None or isinstance(row, Refusal):
                costs.append(math.inf)
                continue
            loss = -clipped_sqnr_db(exact, row.outputs, model.task)
            # The source comes first: what this precision loses without any rewrite is the yardstick.
            yardstick = loss if index == 0 else yardstick
            costs.append(relative(row.compute) * _penalty(loss - yardstick))
        return costs

    return choose(model, inputs, cost, deadline)


def _written(model: Model, precision: str, bench: Bench) -> Candidate | None:
    try:
        return bench.trial_dialect.write(GraphRequest(model.name, precision, precision, model, NO_RANGES))
    except InputError:
        return None


def _penalty(lost_db: float) -> float:
    """Factor on a graph's time for what it loses more than the source does in the same precision.

    Rewrites are exact in real numbers; in BF16 some forms (a variance as a difference of large sums) are not.
    """
    return 1.0 + PENALTY_PER_DB * max(0.0, lost_db - TOLERATED_DB)


def fastest_float(bench: Bench) -> str:
    """The smallest float precision that really runs on the target: rewrites are measured in it."""
    return next((p for p in reversed(FLOATS) if bench.refusal(p) is None), "fp32")
