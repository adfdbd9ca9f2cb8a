"""Deploying for a device that is not this machine: everything that can be known here, and nothing that cannot.

The very graphs that the device will compile are scored in ONNX Runtime (graph optimizations off), and TensorRT for RTX
says whether they build and in which precision their convolutions run. Where INT8 everywhere is not good enough, a
search over estimated times and simulated harm proposes which layers to leave float. Estimates only order layers: no
latency is written down, nothing is chosen; the device decides, from the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Verdict, judge
from edge.backends import find_backend
from edge.backends.engine import Candidate, Engine, Layer
from edge.backends.onnxruntime import reference as exact_runner
from edge.backends.tensorrt.rtx import Attempt, TensorRtRtx
from edge.errors import MachineError
from edge.files import sha256_file
from edge.graph.model import Model
from edge.pipeline.build import GRAPH
from edge.pipeline.check import Checked
from edge.pipeline.costs import Costs, estimator
from edge.pipeline.report_rows import assemble, engine_row, refused_row
from edge.pipeline.session import Job
from edge.quantization.calibrate import calibrate
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.report import Report, worst_pictures, write_report
from edge.report.results import EngineRow, Status
from edge.search.candidates import MEMORY, PLAN, Refusal
from edge.search.rewrites import fuse_for_target
from edge.search.simulated_search import search_simulated
from edge.search.tensorrt_candidates import candidates, planned, simulated, tensorrt_version

_NOT_WRITTEN = "{} is not written for TensorRT"
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
        plain = candidates(fused.model, ranges, job.target, job.request.jetpack)
    mixed, why_none, log = _mixed(job, fused.model, ranges, folder)
    asked = [*(candidate for candidate in plain if candidate.precision in job.precisions), *mixed]
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
        for refusal in _refusals(job, {c.precision for c in asked}, why_none)
    ]
    evaluations = {name: found.evaluation for name, found in checked.items()}
    status: Status = "unconfirmed" if any(row.gate.passed for row in rows) else "failed"
    notes = (*_notes(job, attempts, tensorrt), *log)
    report = assemble(job, reference, rows, None, evaluations, fused, ranges, status, notes)
    shown = worst_pictures(job.splits.evaluation, reference, evaluations)
    write_report(report, folder, shown, job.request.report_images)
    return report


def _mixed(
    job: Job, fused: Model, ranges: Ranges, folder: Path
) -> tuple[list[Candidate], Mapping[str, str], tuple[str, ...]]:
    """What a search proposes, why there is nothing where it does not, and what it decided, in words."""
    refusal = find_backend(job.target.backend).refusal("int8", job.target)
    if "mixed" not in job.precisions or refusal is not None:
        return [], {"mixed": refusal or ""}, ()
    rest = "fp16" if "fp16" in job.precisions else "fp32"
    with job.clock.stage("search"):
        found = search_simulated(
            fused,
            ranges,
            job.splits.search,
            job.target,
            job.criteria,
            rest,
            job.request.budget_seconds,
            job.request.threads,
            job.clock.searching,
            folder / MEMORY,
        )
        log = tuple(f"search: {line}" for line in found.log)
        fresh = [plan for plan in found.plans if plan.candidate.precision == "mixed"]
        if fresh:
            fresh[0].plan.save(folder / PLAN)
        made = [planned(fused, ranges, job.target, job.request.jetpack, p.plan, p.rest, p.name) for p in fresh]
    why = "the search came to INT8 everywhere" if found.plans else found.log[-1]
    return made, {} if made else {"mixed": why}, log


def _refusals(job: Job, made: set[str], reasons: Mapping[str, str]) -> list[Refusal]:
    """A row for every precision that was asked for and has no graph."""
    backend = find_backend(job.target.backend)
    return [
        Refusal(name, name, reasons.get(name) or backend.refusal(name, job.target) or _NOT_WRITTEN.format(name))
        for name in job.precisions
        if name not in made
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
    images, criteria = job.splits.evaluation, job.criteria
    found = {}
    with job.clock.stage("check", len(images) * len(asked)) as advance:
        for candidate in asked:
            evaluation = evaluate(exact_runner(simulated(candidate)).run, images, job.model.task, advance)
            accuracy = compare(evaluation, reference, None, criteria.strata, criteria.group)
            verdict = judge(criteria.gate, accuracy, candidate.precision, candidate.rest, job.request.allow_small)
            found[candidate.name] = Checked(evaluation, accuracy, _with_build(verdict, attempts[candidate.name]))
    return found


def _with_build(verdict: Verdict, attempt: Attempt | None) -> Verdict:
    if attempt is None or attempt.builds:
        return verdict
    return replace(verdict, passed=False, reasons=(*verdict.reasons, attempt.reason))


def _layers(candidate: Candidate, attempt: Attempt | None) -> tuple[Layer, ...]:
    """What the plan built here says of each convolution (the device's own builder may choose otherwise), and why each
    further layer is left float; in which float precision, nobody built here says."""
    built = attempt.precisions if attempt else {}
    operators = {node.name: node.op_type for node in candidate.model.proto.graph.node}
    rows = {name: ("Convolution", precision) for name, precision in built.items()}
    rows.update({name: (operators.get(name, ""), "unknown") for name in candidate.reasons if name not in built})
    return tuple(
        Layer(name, op, precision, None, candidate.reasons.get(name, "")) for name, (op, precision) in rows.items()
    )


def _notes(job: Job, attempts: dict[str, Attempt | None], tensorrt: str) -> tuple[str, ...]:
    built = [attempt for attempt in attempts.values() if attempt]
    how = (
        f"buildability and precisions from TensorRT for RTX for {built[0].capability}, "
        f"{job.target.title} is compute capability {job.target.fact('sm')}"
        if built
        else "buildability not checked: tensorrt_rtx is not installed (pip install 'segedge[tensorrt-rtx]')"
    )
    return (NOT_HERE, _written_for(job, tensorrt), how)


def _written_for(job: Job, tensorrt: str) -> str:
    if not job.target.jetpacks:
        return f"graphs written for TensorRT {tensorrt}"
    release = job.target.find_jetpack(job.request.jetpack)
    chosen = "" if job.request.jetpack else ", the default; --jetpack names another"
    return f"graphs written for TensorRT {tensorrt} (JetPack {release.version}{chosen})"
