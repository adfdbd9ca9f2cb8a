"""The pipeline: load, fuse, calibrate, quantize, build, check, profile, choose, report.

:func:`run_deploy` reads like that line. What it decides with is in the :class:`~edge.pipeline.session.Job`, what it
asks of the target goes to the job's bench, what it finds out is in the report it returns.
"""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge.accuracy.check import Standard, judged_reference
from edge.backends.engine import Candidate
from edge.errors import MachineError
from edge.files import replaced_folder, sha256_file
from edge.fusion import Fused
from edge.graph.model import Model
from edge.latency.statistics import Measured
from edge.latency.sweep import Throughput
from edge.latency.trial import Refusal, choose
from edge.latency.winner import Contender, Standing
from edge.machine.heap import settled
from edge.pipeline.effort import find_effort
from edge.pipeline.estimates import estimator
from edge.pipeline.measure import QUANTIZED, MeasuredEngine, look_into, race, shown_images, timing_effort
from edge.pipeline.progress import Progress
from edge.pipeline.report_rows import assemble, engine_row, refused_row
from edge.pipeline.session import Job, Request, prepare
from edge.pipeline.trial_run import TrialRun
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half_range import watched
from edge.quantization.ranges import NO_RANGES, Ranges
from edge.quantization.schemes import plan_int8
from edge.report.details import best_pictures, worst_pictures
from edge.report.results import EngineRow, Report
from edge.report.store import OUTPUTS, REPORT
from edge.report.write import write_report
from edge.search.authored import only_authored, with_authored
from edge.search.cache import shared_measurements
from edge.search.candidates import Proposal, SearchRequest, propose
from edge.search.deadline import Deadline
from edge.search.floats import BASELINE, FloatRace, floats_of, race_floats
from edge.search.plain_candidates import MIXED, plain_candidates
from edge.search.rewrites import fuse_for_target

FUSION_SECONDS = 40.0
_TRIED = (
    "search: nothing quantized passed on the test images, so quieter plans were judged on them too, until one passed "
    "or none was left ({}); each further try makes it likelier that one passes by luck"
)
_FUSION_SHARE = 0.35  # of the budget: rewrites gain less than INT8 does
PLAN, MEMORY = "plan.json", "search.json"


def run_deploy(request: Request, progress: Progress) -> tuple[Report, Path]:
    """Deploy a network for a target.

    Returns:
        The report, and the run folder it lies in.

    Raises:
        InputError, MachineError: see the stages. An earlier run at the same place is kept then.
    """
    job = prepare(request, progress)
    out = request.out or Path("runs") / job.folder_name
    try:
        with settled(), replaced_folder(out, REPORT) as folder:
            job.model.save(folder / "source.onnx")
            with job.clock.stage("reference", len(job.splits.evaluation)) as advance:
                reference = judged_reference(job.model, job.splits.evaluation, job.criteria, advance)
            reference.save_outputs(folder / OUTPUTS)
            _remember(out, folder)
            standard = Standard(job.splits.evaluation, reference, job.criteria, request.allow_small)
            trials = TrialRun(job, standard, folder)
            try:
                report = _deploy(job, trials)
            except (KeyboardInterrupt, MachineError) as fault:
                _keep_measurements(folder, out)
                if isinstance(fault, KeyboardInterrupt) and (kept := trials.keep(out)) is not None:
                    progress.say(f"interrupted: {kept} holds the engine that passed last")
                raise
    finally:
        job.bench.close()
    return report, out


def _deploy(job: Job, trials: TrialRun) -> Report:
    folder, reference = trials.folder, trials.standard.reference
    floats, left = race_job(job, job.budget_seconds)  # calibration is no search: its time is not the budget's
    job, slow = without_slow(job, floats)
    fused, left = fuse_job(job, left, floats)
    ranges = calibrate_job(job, fused.model)
    ranges.save(folder / "ranges.json")
    trials.add(_plain(job, fused.model, ranges))  # an answer first, a better one after the search
    proposal = propose_for(job, fused.model, ranges, left, folder / MEMORY, _passed_in_int8(job, trials))
    proposal.plan.save(folder / PLAN)
    trials.add(proposal.found.candidates, "mixed")
    spares = _add_spares(job, trials, proposal)
    timed = race(job, trials.checked)
    winner = _choose(job, timed)
    chosen, tie = (winner.winner, winner.sentence()) if winner else (None, "")
    engines = look_into(job, timed, chosen, fused)
    rows = _rows(job, engines, fused, folder, chosen, _sweep(job, engines, chosen))
    mixed = any(engine.precision == MIXED for _, engine, _ in trials.checked)
    refusals = (*slow, *proposal.found.refusals, *trials.refusals)
    refusals = tuple(refusal for refusal in refusals if not (mixed and refusal.name == MIXED))
    rows += [refused_row(refusal, job.target.backend, job.request.gate) for refusal in refusals]
    evaluations = {one.engine.name: one.checked.evaluation for one in engines}
    notes = (*job.splits.notes, *job.bench.notes(), *proposal.log, *spares, *((tie,) if tie else ()))
    learned = ranges if ranges.images else None
    report = assemble(job, reference, rows, chosen, evaluations, fused, learned, notes=notes)
    outputs = sha256_file(folder / OUTPUTS)
    report = replace(report, reference=replace(report.reference, outputs_sha256=outputs))
    with job.clock.stage("report"):
        told = (job.splits.evaluation, reference, evaluations)
        shown = (*worst_pictures(*told), *best_pictures(*told))
        write_report(report, folder, shown, job.request.report_images)
    return report


def race_job(job: Job, seconds: float) -> tuple[FloatRace, float]:
    """Which float precisions asked for pay on the job's model here, and the seconds of the budget that are left."""
    names = floats_of(job.bench, job.precisions)
    if job.model.quantized or len(names) < 2:
        return FloatRace(dict.fromkeys(names[:1], 1.0), job.seconds_each), seconds
    with job.clock.stage("fuse"):
        budget = Deadline.after(seconds)
        if not budget.affords(len(names) * job.seconds_each):
            return FloatRace({BASELINE: 1.0}, job.seconds_each), budget.left()
        image = list(job.inputs(job.splits.search.spread(1)))
        return race_floats(job.model, job.bench, names, image, budget), budget.left()


def without_slow(job: Job, floats: FloatRace) -> tuple[Job, tuple[Refusal, ...]]:
    """The job without the float precisions that are slow here, where nobody named them, and what their rows say."""
    if job.request.precisions is not None or find_effort(job.request.effort).exhaustive:
        return job, ()
    slow = {name: why for name, why in floats.slow.items() if name in job.precisions}
    kept = tuple(name for name in job.precisions if name not in slow)
    return replace(job, precisions=kept), tuple(Refusal(name, name, why) for name, why in slow.items())


def fuse_job(job: Job, seconds: float, floats: FloatRace | None = None) -> tuple[Fused, float]:
    """Rewrite the job's model exactly, with what is fastest on its target; a quantized one stays as it came.

    Args:
        job: with the model.
        seconds: of the budget; waiting until the stage may begin costs none of them.
        floats: from :func:`race_job`; None races here.

    Returns:
        The rewritten model, and the seconds that are left.
    """
    if job.model.quantized:
        return Fused(job.model, (), 0.0), seconds
    with job.clock.stage("fuse"):
        budget = Deadline.after(seconds)
        proof = list(job.inputs(job.splits.search.spread(2)))
        ends = budget.share(_FUSION_SHARE, FUSION_SECONDS)
        job.clock.progress.remaining(ends.left())
        int8 = not {"int8", MIXED}.isdisjoint(job.precisions) and job.bench.refusal("int8") is None
        fused = fuse_for_target(job.model, job.target, job.bench, proof, ends, floats, shared_measurements(), int8)
        for sentence in sets_tried(fused):
            job.clock.progress.detail(sentence)
        return fused, budget.left()


def sets_tried(fused: Fused) -> Iterator[str]:
    """What a log says of the sets of rewrites: each that was timed, in order, and how many the budget cut off."""
    for names in fused.tried:
        yield f"rewrites tried: {', '.join(names) or 'none'}"
    if fused.untried:
        cut, planned = len(fused.untried), len(fused.tried) + len(fused.untried)
        yield f"rewrites: no time was left for the last {cut} of {planned} sets; a longer --budget tries them"


def calibrate_job(job: Job, model: Model) -> Ranges:
    """Ranges of the fused model over the calibration images; none where it is quantized already."""
    if job.model.quantized:
        return NO_RANGES
    with job.clock.stage("calibrate", len(job.splits.calibration)) as advance:
        # Where FP16 is written into the graph, what norms and means do inside decides what stays FP32.
        tensors = [*quantizable(model), *watched(model)] if job.bench.dialect.floats_by_ranges else None
        return calibrate(
            model, job.inputs(job.splits.calibration), tensors, advance=advance, scheme=job.bench.dialect.scheme
        )


def propose_for(
    job: Job,
    model: Model,
    ranges: Ranges,
    seconds: float,
    keep: Path | None = None,
    passed: Container[str] = (),
) -> Proposal:
    """Candidates for every precision asked for; a search begins nothing that would end after so many seconds of it."""
    if model.quantized:
        found = only_authored(job.bench, model, job.precisions)
        return Proposal(found, plan_int8(model, job.bench.dialect.scheme))
    with job.clock.stage("search"):
        wanted = SearchRequest(
            images=job.splits.search,
            criteria=job.criteria,
            deadline=Deadline.after(seconds),
            progress=job.clock.searching,
            keep=keep,
            shared=shared_measurements(),
            seconds_each=job.seconds_each,
            bias_images=lambda: list(job.inputs(job.splits.calibration)) if job.request.bias_correction else [],
            passed=passed,
        )
        proposal = propose(job.bench, job.target, model, ranges, job.precisions, wanted)
    return replace(proposal, found=with_authored(proposal.found, job.bench, job.model, job.precisions))


def _plain(job: Job, model: Model, ranges: Ranges) -> Sequence[Candidate]:
    """What needs no search, INT8 first; nothing of a graph that came quantized."""
    if model.quantized:
        return ()
    found = plain_candidates(job.bench.dialect, job.bench.refusal, model, ranges, job.precisions)
    return sorted(found.candidates, key=lambda candidate: candidate.precision not in QUANTIZED)


def _passed_in_int8(job: Job, trials: TrialRun) -> frozenset[str]:
    """Float precisions over which INT8 everywhere passed; none where nothing is to be left out."""
    if find_effort(job.request.effort).exhaustive:
        return frozenset()
    return frozenset(engine.rest for engine in trials.passing if engine.precision == "int8")


def _add_spares(job: Job, trials: TrialRun, proposal: Proposal) -> tuple[str, ...]:
    """Quieter plans one by one, until something quantized passes, where nothing did: an answer that is no faster than
    FP32 is the last one to be left with. Returns what the report has to say of it."""
    quieter, tried = iter(proposal.spares), list[str]()
    while proposal.spares and not any(engine.precision in QUANTIZED for engine in trials.passing):
        with job.clock.stage("search"):
            planned = next(quieter, None)
        if planned is None:
            break
        tried.append(planned.candidate.name)
        planned.plan.save(trials.folder / PLAN)
        trials.add([planned.candidate], "mixed")
    return (_TRIED.format(", ".join(tried)),) if tried else ()


def _remember(earlier: Path, folder: Path) -> None:
    """What an earlier run at the same place measured in its search; the search itself knows whether it still holds."""
    kept = _kept(earlier)
    for path in (kept, earlier / MEMORY):
        if path.is_file():
            shutil.copyfile(path, folder / MEMORY)
            break
    kept.unlink(missing_ok=True)


def _keep_measurements(folder: Path, out: Path) -> None:
    """What an interrupted run's search measured, beside the run folder, where the next run at this place finds it."""
    if (folder / MEMORY).is_file():
        shutil.copyfile(folder / MEMORY, _kept(out))


def _kept(out: Path) -> Path:
    return out.with_name(f".{out.name}.{MEMORY}")


def _choose(job: Job, engines: Sequence[MeasuredEngine]) -> Standing | None:
    passing = [
        (one.candidate, _contender(one, one.latency)) for one in engines if one.passed and one.latency is not None
    ]
    again = timing_effort(job) if find_effort(job.request.effort).exhaustive else None
    return choose(passing, job.bench, shown_images(job)[1], again, partial(job.clock.stage, "tie"))


def _contender(one: MeasuredEngine, latency: Measured) -> Contender:
    accuracy = one.checked.accuracy
    return Contender(one.engine.name, latency.blocks, accuracy.dice.retained, accuracy.agreement, one.engine.bytes)


def _rows(
    job: Job,
    engines: Sequence[MeasuredEngine],
    fused: Fused,
    folder: Path,
    chosen: str | None,
    swept: tuple[Throughput, ...],
) -> list[EngineRow]:
    estimated = estimator(fused.model, job.target, job.bench.peaks())
    baseline = next((one.latency for one in engines if one.engine.precision == "fp32"), None)
    return [
        engine_row(
            one.engine,
            folder,
            one.checked,
            one.layers,
            one.latency,
            one.lost,
            simulated=not job.bench.measured,
            costs=one.costs,
            estimated=estimated(one.engine.precision, one.engine.rest, one.latency.p50 if one.latency else None),
            pixels=one.pixels,
            throughput=swept if one.engine.name == chosen else (),
            baseline=baseline,
        )
        for one in engines
    ]


def _sweep(job: Job, engines: Sequence[MeasuredEngine], chosen: str | None) -> tuple[Throughput, ...]:
    """Throughput of the chosen engine over batches and streams, where it was asked for."""
    winner = next((one for one in engines if one.engine.name == chosen), None)
    if not job.request.sweep or winner is None:
        return ()
    with job.clock.stage("sweep"):
        return job.bench.throughput(winner.candidate, job.request.latency_seconds)
