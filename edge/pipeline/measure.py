"""What is found out about engines that were checked: their times in one race, and more of those that are asked about.

Only engines that pass are timed, and FP32 beside them, which every speed-up is told against; where none passes, or the
user wants everything explained, all are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge.accuracy.attribution import LayerLoss, attribute
from edge.accuracy.checked import Checked
from edge.backends.engine import Candidate, Engine, Layer
from edge.errors import InputError
from edge.fusion import Fused
from edge.latency.costs import Costs
from edge.latency.pixels import PROOF_IMAGES
from edge.latency.statistics import Measured
from edge.latency.timing import timed_seconds
from edge.pipeline.effort import find_effort
from edge.pipeline.explain import explained, planned
from edge.pipeline.session import Advance, Job
from edge.search.authored import float_graph
from edge.search.bench import Array, Effort, PixelRoute, Pixels, Refusal

if TYPE_CHECKING:
    Checks = Sequence[tuple[Candidate, Engine, Checked]]

QUANTIZED = ("int8", "mixed")
_BASELINE = "fp32"
_UNDECIDED = 2.0  # times as long as asked, for engines whose order is not clear by then
_PIXEL_EFFORT = Effort(0.3, 12, most_seconds=3.0)
_ATTRIBUTION_IMAGES = 2


@dataclass(frozen=True)
class MeasuredEngine:
    """An engine and all that was found out about it.

    Attributes:
        candidate: what was built.
        engine: on disk.
        checked: its accuracy and the gate's verdict.
        layers: the compiler's account with the plan's reasons, where it was looked into; else what the plan left float.
        latency: milliseconds for each image, interleaved with the other engines of the run; None where it is unknown.
        pixels: uint8 pixels to mask with the task inside the engine, in a run of its own; None where it was not looked
            into, does not pass, or the task cannot go in with the same masks.
        lost: where a quantized graph lost accuracy, layer by layer.
        costs: from a file to its mask, memory and energy.
    """

    candidate: Candidate
    engine: Engine
    checked: Checked
    layers: tuple[Layer, ...] = ()
    latency: Measured | None = None
    pixels: Measured | None = None
    lost: tuple[LayerLoss, ...] = ()
    costs: Costs = field(default_factory=Costs)

    @property
    def passed(self) -> bool:
        """The gate's verdict."""
        return self.checked.verdict.passed


def race(job: Job, checked: Checks) -> list[MeasuredEngine]:
    """Every engine, with its times where it takes part: on a real image, all interleaved in one run."""
    engines = [MeasuredEngine(*three, planned(three[0])) for three in checked]
    passing = [one for one in engines if one.passed]
    everybody = job.request.explain or not passing
    racing = [one for one in engines if everybody or one.passed or one.engine.precision == _BASELINE]
    effort = timing_effort(job)
    if not everybody and all(one.passed for one in racing):
        # Who leaves is slower than the fastest; where that cannot be chosen, it says nothing of those that can.
        effort = replace(effort, undecided_seconds=_UNDECIDED * effort.seconds)
    with job.clock.stage("profile", timed_seconds(effort.seconds, len(racing))) as advance:
        inputs = shown_images(job)[1]
        rows = job.bench.times([one.candidate for one in racing], inputs, effort, advance=advance) if racing else None
    times = {
        one.engine.name: row.compute
        for one, row in zip(racing, rows or (), strict=rows is not None)
        if not isinstance(row, Refusal)
    }
    return [replace(one, latency=times.get(one.engine.name)) for one in engines]


def look_into(job: Job, engines: Sequence[MeasuredEngine], chosen: str | None, fused: Fused) -> list[MeasuredEngine]:
    """The engines, with layers, losses, costs and the way from pixels of those that somebody will ask about."""
    asked = [one for one in engines if job.request.explain or one.engine.name == chosen]
    if not asked:  # none passes: where the quantized ones lost it is the question
        asked = [one for one in engines if one.engine.precision in QUANTIZED]
    lost = _attribute(job, asked, fused)
    pixels = _pixels(job, [one for one in asked if one.passed])
    found = {}
    with _each(job, "layers", asked) as each:
        layers = {one.engine.name: explained(job.bench.layers(one.candidate), one.candidate) for one in each}
    with _each(job, "costs", asked) as each:
        for one in each:
            name = one.engine.name
            found[name] = replace(
                one,
                layers=layers[name],
                lost=lost.get(name, ()),
                pixels=pixels.get(name),
                costs=job.bench.costs(one.candidate, job.splits.evaluation, job.request.latency_seconds),
            )
    return [found.get(one.engine.name, one) for one in engines]


def timing_effort(job: Job) -> Effort:
    """How long engines are timed, each as long as the others."""
    return Effort(job.request.latency_seconds, find_effort(job.request.effort).latency_runs)


def shown_images(job: Job) -> tuple[tuple[Pixels, ...], list[Array]]:
    """The images that are timed, as pixels of the network's size, and the first as the network takes it."""
    task = job.model.task
    shown = tuple(task.resized(sample.plane(task)) for sample in job.splits.evaluation.spread(PROOF_IMAGES))
    return shown, [task.normalized(shown[0])[None]]


def _pixels(job: Job, asked: Sequence[MeasuredEngine]) -> Mapping[str, Measured]:
    """Engine name to its time from pixels to mask, interleaved with its own compute."""
    if not asked or not job.bench.measured:
        return {}
    shown, inputs = shown_images(job)
    candidates = [one.candidate for one in asked]
    route = PixelRoute(frozenset(candidate.name for candidate in candidates), shown)
    with job.clock.stage("pixels"):
        rows = job.bench.times(candidates, inputs, _PIXEL_EFFORT, route) or []
    return {
        candidate.name: row.pixels
        for candidate, row in zip(candidates, rows, strict=False)
        if not isinstance(row, Refusal) and row.pixels is not None
    }


def _attribute(job: Job, asked: Sequence[MeasuredEngine], fused: Fused) -> dict[str, tuple[LayerLoss, ...]]:
    """Where each quantized graph lost accuracy; graphs that several engines share are looked at once."""
    quantized = {one.candidate.plain.sha256: one.candidate.plain for one in asked if one.engine.precision in QUANTIZED}
    inputs = list(job.inputs(job.splits.search.spread(_ATTRIBUTION_IMAGES)))
    found = {}
    with job.clock.stage("attribute", len(quantized)) as advance:
        for digest, graph in quantized.items():
            try:
                found[digest] = attribute(float_graph(graph, job.model, fused.model), graph, inputs)
            except InputError as error:  # the engine is right without it
                job.clock.progress.detail(f"where accuracy went is not known: {error}")
            advance()
    return {one.engine.name: found[digest] for one in asked if (digest := one.candidate.plain.sha256) in found}


@contextmanager
def _each(job: Job, stage: str, engines: Sequence[MeasuredEngine]) -> Iterator[Iterator[MeasuredEngine]]:
    """The engines one by one, each a step of a stage."""

    def steps(advance: Advance) -> Iterator[MeasuredEngine]:
        for one in engines:
            yield one
            advance()

    with job.clock.stage(stage, len(engines)) as advance:
        yield steps(advance)
