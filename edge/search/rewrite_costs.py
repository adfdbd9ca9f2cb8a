"""What a set of rewrites costs: the rewritten graph's time over the source's, in float and in what will ship.

In float, a set also pays for what it loses: rewrites are exact in real numbers, and in BF16 some forms (a variance as a
difference of large sums) are not. In INT8 it pays less: what a form loses there, a mixed plan has to win back in time.
U-Net is why INT8 is asked at all: the set that is 2 % faster in FP32 is 6 to 18 % slower in INT8. LANet and LiteNeXt
are why its decibels are: sets that are as fast lie 2 and 7 dB apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import Intermediates, reference
from edge.errors import InputError
from edge.graph.groups import in_groups
from edge.graph.macs import static_shapes
from edge.graph.model import Model
from edge.latency.race import relative_to_fastest
from edge.machine.watch import watched
from edge.quantization.graph import quantizable
from edge.quantization.ranges import NO_RANGES, Clip, Ranges, TensorRange
from edge.quantization.schemes import plan_int8
from edge.search.bench import Bench, Effort, Refusal, Timed
from edge.search.cache import MeasurementCache
from edge.search.deadline import Deadline
from edge.search.dialect import GraphRequest

Cost = Callable[[Sequence[Model]], list[float]]
"""Cost of graphs in one run, the source first; infinite for what the compiler refuses."""

TOLERATED_DB = 1.5
PENALTY_PER_DB = 0.2
# A race: of a dozen graphs most are clearly slower. It is looked at after 10 rounds, and next after 15.
_EFFORT = Effort(0.3, 10, undecided_seconds=0.3)
_SHARE = 0.5  # of what is left: one race leaves as much to those after it, and to building
INT8_PENALTY_PER_DB = 0.02
ENOUGH_DB = 40.0  # more saves no pixel
COSTS = (TOLERATED_DB, PENALTY_PER_DB, INT8_PENALTY_PER_DB, ENOUGH_DB)
"""What remembered costs depend on besides time."""

_BYTES_AT_ONCE = 256 << 20


class RememberedCosts:
    """Costs over the source's; graphs that an earlier run timed, undisturbed, are not timed again.

    Args:
        cost: measures.
        memory: under everything that costs depend on besides the graph.
    """

    def __init__(self, cost: Cost, memory: MeasurementCache) -> None:
        self._cost, self._memory = cost, memory

    def __call__(self, models: Sequence[Model]) -> list[float]:
        """See :data:`Cost`."""
        if not all(self._memory.knows(model.sha256) for model in models):
            disturbed: list[str] = []
            with watched(disturbed):
                costs = self._cost(models)
            if not math.isfinite(costs[0]):
                return costs
            for model, cost in zip(models, costs, strict=True):
                known = cost / costs[0] if math.isfinite(cost) else None
                self._memory.learn(model.sha256, known, quiet=not disturbed)
        facts = [self._memory.recall(model.sha256, float) for model in models]
        return [math.inf if fact is None else fact for fact in facts]


class FloatCost:
    """Time in one float precision, with a penalty for decibels lost beyond the source's own loss in it.

    Args:
        model: the source graph.
        precision: to write graphs in.
        bench: measures.
        inputs: the first is timed, all are compared.
        deadline: of the stage.
    """

    def __init__(
        self, model: Model, precision: str, bench: Bench, inputs: Sequence[NDArray[np.float32]], deadline: Deadline
    ) -> None:
        self._precision, self._bench, self._inputs, self._deadline = precision, bench, inputs, deadline
        self._task = model.task
        self._exact = np.concatenate([reference(model).run(image) for image in inputs])

    def __call__(self, models: Sequence[Model]) -> list[float]:
        """See :data:`Cost`."""
        name = self._precision
        asked = [GraphRequest(model.name, name, name, model, NO_RANGES) for model in models]
        found = _timed(self._bench, asked, self._inputs, self._deadline)
        relative = relative_to_fastest([row.compute for row in found.values()])
        lost = {at: -clipped_sqnr_db(self._exact, row.outputs, self._task) for at, row in found.items()}
        yardstick = lost.get(0, 0.0)  # what this precision loses without any rewrite
        return [
            relative(found[at].compute) * _penalty(lost[at] - yardstick) if at in found else math.inf
            for at in range(len(models))
        ]


class Int8Cost:
    """Time with INT8 wherever the compiler's rules allow it, with a penalty for decibels below the best graph's, or
    below :data:`ENOUGH_DB` where that is lower.

    Every graph is calibrated on one image, by extremes: enough to tell graphs apart, and for nothing else.

    Args:
        model: the source graph.
        rest: float precision of whatever stays float.
        bench, inputs, deadline: as of :class:`FloatCost`; only the first input is used.
    """

    def __init__(
        self, model: Model, rest: str, bench: Bench, inputs: Sequence[NDArray[np.float32]], deadline: Deadline
    ) -> None:
        self._rest, self._bench, self._inputs, self._deadline = rest, bench, inputs[:1], deadline
        self._task = model.task
        self._exact = reference(model).run(inputs[0])

    def __call__(self, models: Sequence[Model]) -> list[float]:
        """See :data:`Cost`."""
        scheme = self._bench.trial_dialect.scheme
        asked = [
            GraphRequest(
                model.name, "int8", self._rest, model, extremes(model, self._inputs[0]), plan_int8(model, scheme)
            )
            for model in models
        ]
        found = _timed(self._bench, asked, self._inputs, self._deadline)
        relative = relative_to_fastest([row.compute for row in found.values()])
        decibels = {at: clipped_sqnr_db(self._exact, row.outputs, self._task) for at, row in found.items()}
        wanted = min(max(decibels.values(), default=0.0), ENOUGH_DB)
        missing = {at: max(0.0, wanted - found_db) for at, found_db in decibels.items()}
        return [
            relative(found[at].compute) * (1.0 + INT8_PENALTY_PER_DB * missing[at]) if at in found else math.inf
            for at in range(len(models))
        ]


def extremes(model: Model, image: NDArray[np.float32]) -> Ranges:
    """The least and the largest value on one image of every tensor that a quantized graph may round.

    Args:
        model: float graph.
        image: ``[1, channels, height, width]`` float32.
    """
    shapes = static_shapes(model.proto)
    found: dict[str, TensorRange] = {}
    sizes = ((name, 4 * math.prod(shapes.get(name, (_BYTES_AT_ONCE // 16,)))) for name in quantizable(model))
    for group in in_groups(sizes, _BYTES_AT_ONCE):
        for name, values in Intermediates(model, group).run(image).items():
            low, high = float(values.min()), float(values.max())
            clip = Clip(max(abs(low), abs(high)), "min-max")
            found[name] = TensorRange(low, high, values.size, 0.0, clip, clip)
    return replace(NO_RANGES, tensors=found, images=1, graph_sha256=model.sha256)


def _timed(
    bench: Bench, asked: Sequence[GraphRequest], inputs: Sequence[NDArray[np.float32]], deadline: Deadline
) -> dict[int, Timed]:
    """Rows of one race by their place, without those that the dialect or the compiler refuses."""
    written = {at: made for at, one in enumerate(asked) if (made := _written(bench, one)) is not None}
    effort = replace(_EFFORT, most_seconds=_SHARE * max(0.0, deadline.left()))
    rows = bench.times(list(written.values()), inputs, effort) or []
    return {at: row for at, row in zip(written, rows, strict=True) if not isinstance(row, Refusal)}


def _written(bench: Bench, asked: GraphRequest) -> Candidate | None:
    try:
        return bench.trial_dialect.write(asked)
    except InputError:
        return None


def _penalty(lost_db: float) -> float:
    """Factor on a graph's time for what it loses more than the source does in the same precision."""
    return 1.0 + PENALTY_PER_DB * max(0.0, lost_db - TOLERATED_DB)
