"""Measurements of one network on one target, by the plan they belong to; each is made once and remembered.

A plan is written here as a float precision (``rest``) and the groups in INT8 over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate
from edge.graph.model import Model
from edge.quantization.bias import correct_biases
from edge.quantization.plan import INT8, PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import Scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.bench import Bench, GateResult
from edge.search.cache import MeasurementCache
from edge.search.layer_times import node_times
from edge.search.sensitivity import Gain, Group, Harm, groups, harm, measure_gain

Chosen = frozenset[Group]
NOTHING: Chosen = frozenset()

HARM_IMAGES = 12


class PlanMeasurements:
    """What has been measured, and how to measure the rest.

    Args:
        model: the float graph.
        ranges: of its tensors.
        scheme: the compiler's dialect.
        bench: answers.
        memory: keeps the answers.
        shifts: bias corrections by node, from :func:`edge.quantization.bias.measure_shifts`; None for none.
        harm_images: search images on which the harm of a group is measured.

    Attributes:
        measured: whether times are measured, or estimates.
        plan: INT8 wherever the scheme allows it.
        groups: its nodes, by the tensor they read.
        evaluations: full evaluations that were made now and not remembered.
    """

    def __init__(
        self,
        model: Model,
        ranges: Ranges,
        scheme: Scheme,
        bench: Bench,
        memory: MeasurementCache,
        shifts: Mapping[str, NDArray[np.float32]] | None = None,
        harm_images: int = HARM_IMAGES,
    ) -> None:
        self._model, self._ranges, self._scheme = model, ranges, scheme
        self._bench, self._memory, self._shifts = bench, memory, shifts or {}
        self._harm_images = harm_images
        self._reference: NDArray[np.float32] | None = None
        self.measured = bench.measured
        self.plan = plan_int8(model, scheme)
        self.groups = groups(model, self.plan.int8)
        self.evaluations = 0

    @property
    def everything(self) -> Chosen:
        """All groups in INT8."""
        return frozenset(self.groups)

    def candidate(self, rest: str, chosen: Chosen, name: str = "trial", plan: PrecisionPlan | None = None) -> Candidate:
        """The graph of a plan, ready to build."""
        if not chosen:
            return Candidate(name, rest, rest, self._model)
        int8 = {node for group in chosen for node in group}
        plan = plan or self.plan.without(dict.fromkeys(self.plan.int8 - int8, ""))
        graph = quantize(self._model, self._ranges, plan, self._scheme)
        if self._shifts:
            graph = correct_biases(graph, self._shifts)
        precision = INT8 if chosen == self.everything else "mixed"
        return Candidate(name, precision, rest, graph, plan.reasons)

    def profile(self, wanted: Sequence[tuple[str, Chosen]]) -> None:
        """Profile plans against each other, unless all are known."""
        if all(self._memory.knows(_key("profiles", *plan)) for plan in wanted):
            return
        candidates, nodes = [self.candidate(*plan) for plan in wanted], sorted(self.plan.int8)
        for plan, candidate, profiles in zip(wanted, candidates, self._bench.profiles(candidates), strict=True):
            times = [node_times(layers, candidate.model, nodes) for layers in profiles]
            self._memory.learn(_key("profiles", *plan), times)

    def gains(self, rest: str, chosen: Chosen) -> dict[Group, Gain]:
        """Time of each chosen group in float and in INT8."""
        int8, floating = self._profiles(rest, chosen), self._profiles(rest, NOTHING)
        return measure_gain(floating, int8, sorted(chosen))

    def total_ms(self, rest: str, chosen: Chosen) -> float:
        """The sum of what each node took at its fastest, in milliseconds."""
        profiles = self._profiles(rest, chosen)
        return sum(min(profile[node] for profile in profiles) for node in profiles[0])

    def judge(self, rest: str, chosen: Chosen) -> GateResult:
        """The gate's verdict on the search images."""

        def measure() -> dict[str, Any]:
            self.evaluations += 1
            return asdict(self._bench.judge(self.candidate(rest, chosen)))

        table = self._memory.recall(_key("judged", rest, chosen), measure)
        return GateResult(**{**table, "reasons": tuple(table["reasons"])})

    def harm(self, group: Group) -> Harm:
        """What a group alone in INT8 over FP32, whose own noise is least, does to the output."""

        def measure() -> dict[str, float]:
            if self._reference is None:
                self._reference = self._bench.outputs(self.candidate("fp32", NOTHING), self._harm_images)
            outputs = self._bench.outputs(self.candidate("fp32", frozenset({group})), self._harm_images)
            return asdict(harm(self._reference, outputs, self._model.task))

        return Harm(**self._memory.recall(_key("harm", "fp32", frozenset({group})), measure))

    def knows_harm(self, group: Group) -> bool:
        """Whether :meth:`harm` would cost nothing."""
        return self._memory.knows(_key("harm", "fp32", frozenset({group})))

    def milliseconds(self, plans: Sequence[tuple[str, Chosen]]) -> list[float]:
        """Medians of whole engines, all interleaved in one run."""
        key = " | ".join(_key("ms", *plan) for plan in plans)
        return list(self._memory.recall(key, lambda: self._bench.times([self.candidate(*plan) for plan in plans])))

    def _profiles(self, rest: str, chosen: Chosen) -> list[dict[str, float]]:
        key = _key("profiles", rest, chosen)
        if not self._memory.knows(key):
            self.profile([(rest, NOTHING), (rest, chosen)])
        return list(self._memory.recall(key, list))


def _key(fact: str, rest: str, chosen: Chosen) -> str:
    return f"{fact} {rest} {','.join(sorted(node for group in chosen for node in group))}"
