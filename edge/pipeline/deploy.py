"""The pipeline: load, fuse, calibrate, quantize, build, check, profile, choose, report.

:func:`run_deploy` reads like that line. What it decides with is in the :class:`~edge.pipeline.session.Job`, what it
finds out in the report it returns.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.accuracy.attribution import LayerLoss, attribute
from edge.accuracy.evaluate import Evaluation
from edge.backends import find_backend
from edge.backends.engine import Candidate, Engine, Layer, Runner
from edge.errors import InputError
from edge.files import replaced_folder
from edge.fusion import Fused
from edge.latency.statistics import fastest
from edge.latency.sweep import SWEEP_SECONDS, Throughput, sweep
from edge.latency.timing import Measured, interleave, timed_seconds
from edge.pipeline.build import build_engine
from edge.pipeline.check import Checked, check_engine, judged_reference
from edge.pipeline.costs import Costs, estimator, local_peaks, measure_costs
from edge.pipeline.explain import explained
from edge.pipeline.pixels import IN_ENGINE, PROOF_IMAGES, REGION, in_engine
from edge.pipeline.progress import Progress
from edge.pipeline.report_rows import assemble, engine_row, refused_row
from edge.pipeline.session import Job, Request, prepare
from edge.quantization.calibrate import calibrate
from edge.quantization.ranges import Ranges
from edge.report import Report, worst_pictures, write_report
from edge.report.store import REPORT
from edge.search.candidates import MEMORY, Refusal, local_candidates
from edge.search.rewrites import fuse_for_target

FUSION_SECONDS = 30.0
ENGINES = "engines"
ATTRIBUTION_IMAGES = 4


@dataclass(frozen=True)
class MeasuredEngine:
    """An engine and all that was measured of it.

    Attributes:
        engine: on disk.
        checked: its accuracy and the gate's verdict.
        layers: the compiler's account, with the plan's reasons.
        latency: milliseconds for each image, interleaved with the other engines of the run.
        lost: where a quantized graph lost accuracy, layer by layer.
        costs: from a file to its mask, memory, and the estimate.
        pixels: uint8 pixels to mask with the task inside the engine, from the same interleaved run; None where the
            engine does not pass or the task cannot go in with the same masks.
    """

    engine: Engine
    checked: Checked
    layers: tuple[Layer, ...]
    latency: Measured
    lost: tuple[LayerLoss, ...]
    costs: Costs
    pixels: Measured | None = None


def run_deploy(request: Request, progress: Progress) -> tuple[Report, Path]:
    """Deploy a network for a target.

    Returns:
        The report, and the run folder it lies in.

    Raises:
        InputError, MachineError: see the stages. An earlier run at the same place is kept then.
    """
    job = prepare(request, progress)
    out = request.out or Path("runs") / job.folder_name
    with replaced_folder(out, REPORT) as folder:
        job.model.save(folder / "source.onnx")
        with job.clock.stage("reference", len(job.splits.evaluation)) as advance:
            reference = judged_reference(job.model, job.splits.evaluation, job.criteria, advance)
        reference.save_outputs(folder / "reference.npz")
        _remember(out, folder)
        if job.target.local:
            report = _deploy_here(job, reference, folder)
        else:
            from edge.pipeline.simulated import deploy_simulated

            report = deploy_simulated(job, reference, folder)
    return report, out


def _deploy_here(job: Job, reference: Evaluation, folder: Path) -> Report:
    fused = _fuse(job)
    ranges = _calibrate(job, fused, folder)
    candidates, refusals, log = local_candidates(job, fused.model, ranges, folder)
    with ExitStack() as stack:
        loaded = _build_and_load(job, candidates, folder, stack, refusals)
        checked = _check(job, loaded, reference)
        layers = _layers(job, loaded)
        lost = _attribute(job, loaded, fused)
        latencies, pixels = _profile(job, loaded, checked)
        costs = _costs(job, loaded, fused, latencies)
    proven = [
        MeasuredEngine(
            engine=e,
            checked=checked[e.name],
            layers=layers[e.name],
            latency=latencies[e.name],
            lost=lost.get(e.name, ()),
            costs=costs[e.name],
            pixels=pixels.get(e.name),
        )
        for _, e, _ in loaded
    ]
    chosen = choose(proven)
    swept = _sweep(job, proven, chosen)
    rows = [
        engine_row(
            p.engine,
            folder,
            p.checked,
            p.layers,
            p.latency,
            p.lost,
            costs=p.costs,
            pixels=p.pixels,
            throughput=swept if p.engine.name == chosen else (),
        )
        for p in proven
    ]
    rows += [refused_row(refusal, job.target.backend, job.request.gate) for refusal in refusals]
    evaluations = {p.engine.name: p.checked.evaluation for p in proven}
    report = assemble(job, reference, rows, chosen, evaluations, fused, ranges, notes=log)
    with job.clock.stage("report"):
        shown = worst_pictures(job.splits.evaluation, reference, evaluations)
        write_report(report, folder, shown, job.request.report_images)
    return report


def choose(proven: Sequence[MeasuredEngine]) -> str | None:
    """The fastest of those that pass; None where none does."""
    passing = {p.engine.name: p.latency for p in proven if p.checked.verdict.passed}
    return fastest(passing) if passing else None


def _remember(earlier: Path, folder: Path) -> None:
    """What an earlier run at the same place measured in its search; the search itself knows whether it still holds."""
    if (earlier / MEMORY).is_file():
        shutil.copyfile(earlier / MEMORY, folder / MEMORY)


def _fuse(job: Job) -> Fused:
    with job.clock.stage("fuse"):
        proof = list(job.inputs(job.splits.search.spread(2)))
        return fuse_for_target(job.model, job.target, proof, job.request.threads, _fusion_seconds(job.request))


def _fusion_seconds(request: Request) -> float:
    return min(FUSION_SECONDS, request.budget_seconds / 2)


def _calibrate(job: Job, fused: Fused, folder: Path) -> Ranges:
    with job.clock.stage("calibrate", len(job.splits.calibration)) as advance:
        ranges = calibrate(fused.model, job.inputs(job.splits.calibration), advance=advance)
        ranges.save(folder / "ranges.json")
    return ranges


Loaded = tuple[Candidate, Engine, Runner]


def _build_and_load(
    job: Job, candidates: Sequence[Candidate], folder: Path, stack: ExitStack, refusals: list[Refusal]
) -> list[Loaded]:
    """Build every candidate; one that its compiler refuses becomes a row that says so, not the end of the run."""
    backend = find_backend(job.target.backend)
    loaded: list[Loaded] = []
    with job.clock.stage("build", len(candidates)) as advance:
        for candidate in candidates:
            try:
                engine = build_engine(candidate, job.target, folder / ENGINES / candidate.name)
            except InputError as error:
                refusals.append(Refusal(candidate.name, candidate.precision, str(error)))
            else:
                loaded.append(
                    (candidate, engine, stack.enter_context(closing(backend.load(engine, job.request.threads))))
                )
            advance()
    return loaded


def _check(job: Job, loaded: Sequence[Loaded], reference: Evaluation) -> dict[str, Checked]:
    images = job.splits.evaluation
    with job.clock.stage("check", len(images) * len(loaded)) as advance:
        return {
            engine.name: check_engine(
                engine,
                runner,
                candidate.model,
                images,
                reference,
                job.criteria,
                allow_small=job.request.allow_small,
                advance=advance,
            )
            for candidate, engine, runner in loaded
        }


def _layers(job: Job, loaded: Sequence[Loaded]) -> dict[str, tuple[Layer, ...]]:
    with job.clock.stage("layers", len(loaded)) as advance:
        found = {}
        for candidate, engine, runner in loaded:
            found[engine.name] = explained(runner.layers(), candidate)
            advance()
    return found


def _attribute(job: Job, loaded: Sequence[Loaded], fused: Fused) -> dict[str, tuple[LayerLoss, ...]]:
    """Where each quantized graph lost accuracy; graphs that several engines share are looked at once."""
    quantized = {c.model.sha256: c.model for c, _, _ in loaded if c.precision in ("int8", "mixed")}
    inputs = list(job.inputs(job.splits.search.spread(ATTRIBUTION_IMAGES)))
    with job.clock.stage("attribute", len(quantized)) as advance:
        found = {}
        for digest, graph in quantized.items():
            found[digest] = attribute(fused.model, graph, inputs)
            advance()
    return {engine.name: found[c.model.sha256] for c, engine, _ in loaded if c.model.sha256 in found}


def _profile(
    job: Job, loaded: Sequence[Loaded], checked: Mapping[str, Checked]
) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """All engines interleaved in one run, on a real image: the only fair comparison on a machine that others share.

    Returns:
        Engine name to its compute alone, and to pixels to mask with the task inside, where that can be.
    """
    shown = [job.model.task.resized(s.plane(job.model.task)) for s in job.splits.evaluation.spread(PROOF_IMAGES)]
    image = job.model.task.normalized(shown[0])[None]
    seconds = job.request.latency_seconds
    with ExitStack() as stack:
        runs: dict[str, Callable[[], object]] = {e.name: partial(runner.run, image) for _, e, runner in loaded}
        conditions = {
            engine.name: {**runner.conditions(), "batch": 1, "timed_region": "host array in, host array out"}
            for _, engine, runner in loaded
        }
        routed = {}
        for _, engine, runner in loaded:
            if not checked[engine.name].verdict.passed:
                continue
            inside = in_engine(engine, runner, shown, job.request.threads)
            if inside.runner is not None:
                name = routed[engine.name] = f"{engine.name}, {IN_ENGINE}"
                runs[name] = partial(stack.enter_context(closing(inside.runner)).run, shown[0])
                conditions[name] = {**conditions[engine.name], "timed_region": REGION, "proven_on": inside.images}
        with job.clock.stage("profile", timed_seconds(seconds, len(runs))) as advance:
            measured = interleave(runs, seconds, conditions=conditions, advance=advance)
    return (
        {engine.name: measured[engine.name] for _, engine, _ in loaded},
        {engine: measured[name] for engine, name in routed.items()},
    )


def _costs(job: Job, loaded: Sequence[Loaded], fused: Fused, latencies: Mapping[str, Measured]) -> dict[str, Costs]:
    with job.clock.stage("costs", len(loaded)) as advance:
        estimated = estimator(fused.model, job.target, local_peaks(job.target, job.request.threads))
        found = {}
        for candidate, engine, runner in loaded:
            floor = estimated(candidate.precision, candidate.rest, latencies[engine.name].p50)
            found[engine.name] = measure_costs(
                engine, runner, job.splits.evaluation, job.request.latency_seconds, job.request.threads, floor
            )
            advance()
    return found


def _sweep(job: Job, proven: Sequence[MeasuredEngine], chosen: str | None) -> tuple[Throughput, ...]:
    """Throughput of the chosen engine over batches and streams, where it was asked for."""
    if not job.request.sweep:
        return ()
    with job.clock.stage("sweep"):
        seconds = min(job.request.latency_seconds, SWEEP_SECONDS)
        return next(
            (sweep(p.engine, seconds=seconds, threads=job.request.threads) for p in proven if p.engine.name == chosen),
            (),
        )
