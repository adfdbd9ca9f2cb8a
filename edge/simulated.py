"""Deploying for a device that is not this machine: everything that can be known here, and nothing that cannot.

The very graphs that the device will compile are scored in ONNX Runtime (graph optimizations off), and TensorRT for RTX
says whether they build and in which precision their convolutions run. No latency is guessed, nothing is chosen: the
device decides, from the bundle.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Verdict, judge
from edge.backends import find_backend
from edge.backends.engine import Candidate, Engine, Layer
from edge.backends.onnxruntime import reference as exact_runner
from edge.backends.tensorrt_rtx import Attempt, TensorRtRtx
from edge.build import GRAPH
from edge.candidates import PLAN, Refusal
from edge.check import Checked
from edge.costs import Costs, estimator
from edge.errors import MachineError
from edge.files import sha256_file
from edge.fuse import fuse_for_target
from edge.job import Job
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import find_scheme, plan_int8
from edge.report import Report, worst_pictures, write_report
from edge.report.results import EngineRow, Status
from edge.rows import assemble, engine_row, refused_row
from edge.tensorrt_candidates import candidates, simulated, tensorrt_version

NOT_HERE = "accuracy simulated in ONNX Runtime on the device's own graph; latency is measured on the device"


def deploy_simulated(job: Job, reference: Evaluation, folder: Path) -> Report:
    """Candidate graphs for the target, their simulated accuracy, and whether they build.

    Args:
        job: its target is not this machine.
        reference: the float source on the evaluation images.
        folder: the run folder to fill.

    Raises:
        InputError: a JetPack that the target does not run, or a graph that its TensorRT does not take.
    """
    tensorrt = tensorrt_version(job.target, job.request.jetpack)
    with job.clock.stage("fuse"):
        fused = fuse_for_target(job.model, job.target, list(job.inputs(job.splits.search.spread(2))))
    with job.clock.stage("calibrate", len(job.splits.calibration)) as advance:
        ranges = calibrate(fused.model, job.inputs(job.splits.calibration), advance=advance)
        ranges.save(folder / "ranges.json")
        plan_int8(fused.model, find_scheme("tensorrt")).save(folder / PLAN)
    with job.clock.stage("lower"):
        asked = [
            candidate
            for candidate in candidates(fused.model, ranges, job.target, job.request.jetpack)
            if candidate.precision in job.precisions
        ]
    with job.clock.stage("build", len(asked)) as advance:
        attempts = {}
        for candidate in asked:
            attempts[candidate.name] = _try_build(job, candidate)
            advance()
    engines = [_write(job, c, attempts[c.name], tensorrt, folder / "engines" / c.name) for c in asked]
    checked = _check(job, asked, attempts, reference)
    estimated = estimator(fused.model, job.target)
    rows: list[EngineRow] = [
        engine_row(
            engine,
            folder,
            checked[engine.name],
            _layers(candidate, attempts[engine.name]),
            simulated=True,
            costs=Costs(estimated=estimated(candidate.precision, candidate.rest)),
        )
        for candidate, engine in zip(asked, engines, strict=True)
    ]
    rows += [
        refused_row(refusal, job.target.backend, job.request.gate)
        for refusal in _refusals(job, {c.precision for c in asked})
    ]
    evaluations = {name: found.evaluation for name, found in checked.items()}
    status: Status = "unconfirmed" if any(row.gate.passed for row in rows) else "failed"
    report = assemble(job, reference, rows, None, evaluations, fused, ranges, status, _notes(job, attempts, tensorrt))
    shown = worst_pictures(job.splits.evaluation, reference, evaluations)
    write_report(report, folder, shown, job.request.report_images)
    return report


def _refusals(job: Job, made: set[str]) -> list[Refusal]:
    """A row for every precision that was asked for and has no graph."""
    backend = find_backend(job.target.backend)
    missing = [name for name in job.precisions if name not in made]
    return [
        Refusal(name, name, backend.refusal(name, job.target) or f"{name} is not written for {job.target.title}")
        for name in missing
    ]


def _try_build(job: Job, candidate: Candidate) -> Attempt | None:
    """None where TensorRT for RTX is not installed here."""
    try:
        return TensorRtRtx().try_build(candidate, str(job.target.fact("sm")))
    except MachineError:
        return None


def _write(job: Job, candidate: Candidate, attempt: Attempt | None, tensorrt: str, folder: Path) -> Engine:
    """The graph in an engine folder: the device compiles it, so the graph is the artefact."""
    folder.mkdir(parents=True)
    candidate.model.save(folder / GRAPH)
    engine = Engine(
        folder=folder,
        name=candidate.name,
        precision=candidate.precision,
        rest=candidate.rest,
        backend=job.target.backend,
        target=job.target.name,
        task=candidate.model.task,
        artefact=GRAPH,
        graph_sha256=candidate.model.sha256,
        artefact_sha256={GRAPH: sha256_file(folder / GRAPH)},
        build_seconds=attempt.seconds if attempt else 0.0,
        convs=attempt.convs if attempt else Attempt(False, "", "", {}).convs,
        versions={"tensorrt": tensorrt},
        runs_on={"sm": job.target.fact("sm"), "tensorrt": tensorrt, "built": False},
    )
    return engine.write()


def _check(
    job: Job, asked: list[Candidate], attempts: dict[str, Attempt | None], reference: Evaluation
) -> dict[str, Checked]:
    images = job.splits.evaluation
    found = {}
    with job.clock.stage("check", len(images) * len(asked)) as advance:
        for candidate in asked:
            evaluation = evaluate(exact_runner(simulated(candidate)).run, images, job.model.task, advance)
            accuracy = compare(evaluation, reference, None, job.request.strata, job.request.group)
            verdict = judge(job.gate, accuracy, candidate.precision, candidate.rest, job.request.allow_small)
            found[candidate.name] = Checked(evaluation, accuracy, _with_build(verdict, attempts[candidate.name]))
    return found


def _with_build(verdict: Verdict, attempt: Attempt | None) -> Verdict:
    if attempt is None or attempt.builds:
        return verdict
    return replace(verdict, passed=False, reasons=(*verdict.reasons, attempt.reason))


def _layers(candidate: Candidate, attempt: Attempt | None) -> tuple[Layer, ...]:
    """What the plan built here says of each convolution; the device's own builder may choose otherwise."""
    if attempt is None:
        return ()
    return tuple(
        Layer(name, "Convolution", precision, None, candidate.reasons.get(name, ""))
        for name, precision in attempt.precisions.items()
    )


def _notes(job: Job, attempts: dict[str, Attempt | None], tensorrt: str) -> tuple[str, ...]:
    built = [attempt for attempt in attempts.values() if attempt]
    how = (
        f"buildability and precisions from TensorRT for RTX for {built[0].capability}, "
        f"{job.target.title} is compute capability {job.target.fact('sm')}"
        if built
        else "buildability not checked: tensorrt_rtx is not installed (pip install 'segedge[tensorrt-rtx]')"
    )
    return (NOT_HERE, f"graphs written for TensorRT {tensorrt}", how)
