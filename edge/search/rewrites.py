"""Fuse for a target: with the set of rewrites that is fastest there, or on trust where it cannot be timed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.files import sha256_bytes
from edge.fusion import Fused, fuse
from edge.graph.model import Model
from edge.latency.race import relative_to_fastest
from edge.machine.environment import processor
from edge.machine.watch import watched
from edge.quantization.ranges import NO_RANGES
from edge.search.bench import Bench, Effort, Refusal
from edge.search.cache import MeasurementCache
from edge.search.choice import choose
from edge.search.deadline import Deadline
from edge.search.dialect import GraphRequest
from edge.search.floats import FloatRace, floats_of, race_floats
from edge.targets.target import Target

TOLERATED_DB = 1.5
PENALTY_PER_DB = 0.2
_EFFORT = Effort(0.3, 12, undecided_seconds=0.3)  # a race: of a dozen graphs most are clearly slower
_SHARE = 0.5  # of what is left: one race leaves as much to those after it, and to building


def fuse_for_target(
    model: Model,
    target: Target,
    bench: Bench,
    inputs: Sequence[NDArray[np.float32]],
    deadline: Deadline,
    floats: FloatRace | None = None,
    shared: Path | None = None,
) -> Fused:
    """Rewrite exactly, with the set of rewrites that is fastest on the target.

    Args:
        model: the source graph.
        target: its table of safe rewrites is taken where the bench has no times.
        bench: measures.
        inputs: images on which every step is proven.
        deadline: of measurements.
        floats: the race of the source's float precisions, the fastest of which sets are timed in; None runs it.
        shared: folder of the user's cache with what earlier runs timed; None for none.
    """
    if not bench.measured:
        return fuse(model, target.safe_rewrites or None, inputs)
    race = floats or race_floats(model, bench, floats_of(bench), inputs, deadline)
    precision = race.fastest
    memory = MeasurementCache(None, {**_asked_of(model, precision, inputs, target), **bench.identity()}, shared)
    cost = _Cost(model, precision, bench, inputs, deadline, memory)
    return choose(model, inputs, cost, deadline, race.seconds_each)


class _Cost:
    """Cost of rewritten graphs: their time over the source's in one race, with a penalty for what they lose.

    Graphs that an earlier run timed, undisturbed, are not timed again.
    """

    def __init__(
        self,
        model: Model,
        precision: str,
        bench: Bench,
        inputs: Sequence[NDArray[np.float32]],
        deadline: Deadline,
        memory: MeasurementCache,
    ) -> None:
        self._precision, self._bench, self._inputs = precision, bench, inputs
        self._task, self._deadline, self._memory = model.task, deadline, memory
        self._exact = np.concatenate([reference(model).run(image) for image in inputs])

    def __call__(self, models: Sequence[Model]) -> list[float]:
        """Costs of graphs, the source first; infinite for one that the compiler refuses."""
        if not all(self._memory.knows(model.sha256) for model in models):
            disturbed: list[str] = []
            with watched(disturbed):
                costs = self._measured(models)
            if not math.isfinite(costs[0]):
                return costs
            for model, cost in zip(models, costs, strict=True):
                known = cost / costs[0] if math.isfinite(cost) else None
                self._memory.learn(model.sha256, known, quiet=not disturbed)
        facts = [self._memory.recall(model.sha256, float) for model in models]
        return [math.inf if fact is None else fact for fact in facts]

    def _measured(self, models: Sequence[Model]) -> list[float]:
        written = {at: made for at, m in enumerate(models) if (made := self._written(m)) is not None}
        effort = replace(_EFFORT, most_seconds=_SHARE * max(0.0, self._deadline.left()))
        rows = self._bench.times(list(written.values()), self._inputs, effort) or []
        found = {at: row for at, row in zip(written, rows, strict=True) if not isinstance(row, Refusal)}
        relative = relative_to_fastest([row.compute for row in found.values()])
        lost = {at: -clipped_sqnr_db(self._exact, row.outputs, self._task) for at, row in found.items()}
        yardstick = lost.get(0, 0.0)  # what this precision loses without any rewrite
        return [
            relative(found[at].compute) * _penalty(lost[at] - yardstick) if at in found else math.inf
            for at in range(len(models))
        ]

    def _written(self, model: Model) -> Candidate | None:
        try:
            return self._bench.trial_dialect.write(
                GraphRequest(model.name, self._precision, self._precision, model, NO_RANGES)
            )
        except InputError:
            return None


def _asked_of(model: Model, precision: str, inputs: Sequence[NDArray[np.float32]], target: Target) -> dict[str, object]:
    """What the cost of a rewritten graph depends on besides the graph and the bench."""
    images = [sha256_bytes(image.tobytes()) for image in inputs]
    return {
        "source": model.sha256,
        "precision": precision,
        "images": images,
        "target": target.name,
        "machine": processor(),
        "costs": [TOLERATED_DB, PENALTY_PER_DB],
    }


def _penalty(lost_db: float) -> float:
    """Factor on a graph's time for what it loses more than the source does in the same precision.

    Rewrites are exact in real numbers; in BF16 some forms (a variance as a difference of large sums) are not.
    """
    return 1.0 + PENALTY_PER_DB * max(0.0, lost_db - TOLERATED_DB)
