"""Measurements of one network on one target, by the plan they belong to; each is made once and remembered.

A plan is written here as a float precision (``rest``) and the groups in INT8 over it. One that the compiler refuses is
remembered as refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.attribution import attribute
from edge.accuracy.chance import chance_of_passing
from edge.accuracy.check import Standard, preprocessed
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Criteria
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import optimized
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.race import relative_to_fastest
from edge.machine.watch import watched
from edge.quantization.plan import INT8, PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import plan_int8
from edge.search.bench import Array, Bench, Effort, Refusal
from edge.search.cache import MeasurementCache
from edge.search.dialect import Dialect, GraphRequest
from edge.search.layer_times import node_times
from edge.search.room import GateResult, gate_result
from edge.search.sensitivity import Gain, Group, Harm, groups, harm, measure_gain

Chosen = frozenset[Group]
NOTHING: Chosen = frozenset()

HARM_IMAGES = 12
_PARITY_IMAGES = 3
_ATTRIBUTED_IMAGES = 1
_EFFORT = Effort(0.5, 20, undecided_seconds=0.5, most_seconds=10.0)
_REFUSED = Harm(noise=1e6, disagreement=1.0)


class PlanMeasurements:
    """What has been measured, and how to measure the rest.

    Args:
        model: the float graph.
        ranges: of its tensors.
        images: search images with masks (val, never test).
        criteria: what plans are judged by, the same as of the verdict.
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
        images: ImageSet,
        criteria: Criteria,
        bench: Bench,
        memory: MeasurementCache,
        shifts: Mapping[str, NDArray[np.float32]] | None = None,
        harm_images: int = HARM_IMAGES,
    ) -> None:
        self._model, self._ranges, self._images, self._criteria = model, ranges, images, criteria
        self._bench, self._memory, self._shifts = bench, memory, shifts or {}
        self._harm_images = harm_images
        self._float: Evaluation | None = None
        self._exact: Array | None = None
        self.measured = bench.measured
        self.plan = plan_int8(model, bench.trial_dialect.scheme)
        self.groups = groups(model, self.plan.int8)
        self.evaluations = 0

    @property
    def everything(self) -> Chosen:
        """All groups in INT8."""
        return frozenset(self.groups)

    def candidate(self, rest: str, chosen: Chosen, name: str = "trial", plan: PrecisionPlan | None = None) -> Candidate:
        """The graph of a plan, ready for a trial.

        Raises:
            InputError: the compiler's dialect cannot express it.
        """
        dialect = self._bench.trial_dialect
        if not chosen:
            return dialect.write(GraphRequest(name, rest, rest, self._model, self._ranges))
        int8 = {node for group in chosen for node in group}
        plan = plan or self.plan.without(dict.fromkeys(self.plan.int8 - int8, ""))
        return self._write(dialect, rest, chosen, name, plan)

    def engine(self, rest: str, chosen: Chosen, name: str, plan: PrecisionPlan) -> Candidate:
        """The graph of a plan as the target's compiler takes it.

        Raises:
            InputError: the compiler's dialect cannot express it.
        """
        return self._write(self._bench.dialect, rest, chosen, name, plan)

    def profile(self, wanted: Sequence[tuple[str, Chosen]]) -> None:
        """Profile plans against each other, unless all are known."""
        if all(self._memory.knows(_key("profiles", *plan)) or self.refused(*plan) for plan in wanted):
            return
        written = [(plan, candidate) for plan in wanted if (candidate := self._written(plan)) is not None]
        nodes = sorted(self.plan.int8)
        disturbed: list[str] = []
        with watched(disturbed):
            tables = self._bench.profiles([candidate for _, candidate in written])
        for (plan, candidate), profiles in zip(written, tables, strict=True):
            if isinstance(profiles, Refusal):
                self._refuse(plan, profiles.reason)
            else:
                times = [node_times(layers, candidate.model, nodes) for layers in profiles]
                self._memory.learn(_key("profiles", *plan), times, quiet=not disturbed)

    def refused(self, rest: str, chosen: Chosen) -> str | None:
        """Why the compiler refuses a plan, as far as it was asked; None where nothing is known against it."""
        key = _key("refused", rest, chosen)
        return str(self._memory.recall(key, str)) if self._memory.knows(key) else None

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
            return asdict(self._judged((rest, chosen)))

        table = self._memory.recall(_key("judged", rest, chosen), measure)
        return GateResult(**{**table, "reasons": tuple(table["reasons"])})

    def harm(self, group: Group) -> Harm:
        """What a group alone in INT8 over FP32, whose own noise is least, does to the output."""
        return self.harm_together(frozenset({group}))

    def harm_together(self, chosen: Chosen) -> Harm:
        """What several groups in INT8 over FP32 do to the output together."""

        def measure() -> dict[str, Any]:
            inputs = preprocessed(self._model, self._images, self._harm_images)
            if self._exact is None:
                self._exact = self._outputs(("fp32", NOTHING), inputs)
            outputs = self._outputs(("fp32", chosen), inputs)
            if self._exact is None or outputs is None:
                return asdict(_REFUSED)
            return asdict(harm(self._exact, outputs, self._model.task))

        return Harm(**self._memory.recall(_key("harm", "fp32", chosen), measure))

    def own_noise(self) -> dict[Group, float]:
        """What each group's layers lose at their own outputs where everything is in INT8: squared error over squared
        signal, added up. Groups whose layers' outputs the quantized graph does not have are left out; all are where the
        dialect cannot write it."""

        def measure() -> dict[str, float]:
            try:
                graph = self.candidate("fp32", self.everything).plain
            except InputError:
                return {}
            rows = attribute(self._model, graph, preprocessed(self._model, self._images, _ATTRIBUTED_IMAGES))
            return {row.name: 10.0 ** (-row.own_db / 10.0) for row in rows}

        layers = self._memory.recall("own noise", measure)
        known = {group: [layers[node] for node in group if node in layers] for group in self.groups}
        return {group: sum(losses) for group, losses in known.items() if losses}

    def evaluate_reference(self) -> Evaluation:
        """The float model on the search images, once."""
        if self._float is None:
            plain = self._written(("fp32", NOTHING))
            here = None if plain is None else self._bench.evaluated(plain, self._images)
            found = here or evaluate(optimized(self._model).run, self._images, self._model.task)
            self._float = replace(found, outlines=False)  # no gate asks for them
        return self._float

    def judged_before(self, rests: Sequence[str]) -> bool:
        """Whether an earlier search has verdicts over any of these float precisions."""
        return any(self._memory.knows(_key("judged", rest, self.everything)) for rest in rests)

    def knows_harm(self, group: Group) -> bool:
        """Whether :meth:`harm` would cost nothing."""
        return self._memory.knows(_key("harm", "fp32", frozenset({group})))

    def milliseconds(self, plans: Sequence[tuple[str, Chosen]]) -> list[float | None]:
        """Times of whole engines, interleaved in one run and told against the fastest round by round (who leaves a race
        early ran under other conditions than who stays), or sums of estimates where the target is not here to
        be timed; None for what its compiler refuses."""
        key = " | ".join(_key("ms", *plan) for plan in plans)
        if not self._memory.knows(key):
            disturbed: list[str] = []
            with watched(disturbed):
                found = self._times(plans)
            self._memory.learn(key, found, quiet=not disturbed)
        return list(self._memory.recall(key, list))

    def _write(self, dialect: Dialect, rest: str, chosen: Chosen, name: str, plan: PrecisionPlan) -> Candidate:
        precision = INT8 if chosen == self.everything else "mixed"
        return dialect.write(GraphRequest(name, precision, rest, self._model, self._ranges, plan, self._shifts))

    def _times(self, plans: Sequence[tuple[str, Chosen]]) -> list[float | None]:
        written = {index: made for index, plan in enumerate(plans) if (made := self._written(plan)) is not None}
        times = self._bench.times(list(written.values()), preprocessed(self._model, self._images, 1), _EFFORT)
        if times is None:
            self.profile(plans)
            return [None if self.refused(*plan) else self.total_ms(*plan) for plan in plans]
        found = dict(zip(written, times, strict=True))
        rows = [found.get(index) for index in range(len(plans))]
        timed = [None if row is None or isinstance(row, Refusal) else row.compute for row in rows]
        milliseconds = relative_to_fastest([row for row in timed if row is not None])
        return [None if row is None else milliseconds(row) for row in timed]

    def _outputs(self, plan: tuple[str, Chosen], inputs: Sequence[Array]) -> Array | None:
        """None for what the compiler refuses."""
        candidate = self._written(plan)
        outputs = None if candidate is None else self._bench.outputs(candidate, inputs)
        return None if isinstance(outputs, Refusal) else outputs

    def _judged(self, plan: tuple[str, Chosen]) -> GateResult:
        candidate = self._written(plan)
        if candidate is None:
            return GateResult(False, -1.0, 0.0, 0.0, (self.refused(*plan) or "",))
        standard = Standard(self._images, self.evaluate_reference(), self._criteria, True, _PARITY_IMAGES)
        checked, gate = self._bench.check(candidate, standard), self._criteria.gate
        found = gate_result(checked, gate, candidate)
        if gate is None or not found.passed or isinstance(checked, Refusal):
            return found
        chance = chance_of_passing(checked.evaluation, standard.reference, gate, self._criteria.group)
        return replace(found, chance=chance)

    def _written(self, plan: tuple[str, Chosen]) -> Candidate | None:
        try:
            return self.candidate(*plan)
        except InputError as error:
            self._refuse(plan, str(error))
            return None

    def _refuse(self, plan: tuple[str, Chosen], reason: str) -> None:
        self._memory.learn(_key("refused", *plan), reason)

    def _profiles(self, rest: str, chosen: Chosen) -> list[dict[str, float]]:
        key = _key("profiles", rest, chosen)
        if not self._memory.knows(key):
            self.profile([(rest, NOTHING), (rest, chosen)])
        return list(self._memory.recall(key, list))


def _key(fact: str, rest: str, chosen: Chosen) -> str:
    return f"{fact} {rest} {','.join(sorted(node for group in chosen for node in group))}"
