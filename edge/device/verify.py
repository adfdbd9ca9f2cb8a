"""The whole path on the device: check the bundle and the machine, build, prove, time, choose, write the report.

Every step leaves its result on disk before the next one begins. Run it again after a power cut and it goes on.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..accuracy.compare import per_image_dice, reference_scores
from ..accuracy.evaluate import Evaluation, evaluate_shown, evaluation_of
from ..accuracy.gate import NONE, Gate, require_enough
from ..backends.compiler import Compiler, Identity, find_compiler
from ..errors import InputError, MachineError
from ..files import replaced_folder
from ..latency.statistics import Measured
from ..latency.trial import Effort, Refusal, Timed, build_each, check_each, choose
from ..latency.winner import Contender
from ..machine.machine import ROOT, Machine, read_machine
from ..safety.guard import parsing
from ..task.task import SegmentationTask
from .bundle_bench import BundleBench
from .engines import CachedEngine
from .manifest import Manifest, check_folder
from .pictures import Pictures, bundled, bundled_labels, bundled_reference, supplied
from .preflight import Preflight, preflight, require_target
from .proof import Options, ProofJob, Say
from .report import ENGINE, REPORT, assemble, bundle_environment, engine_row, failed_row, write_engine, write_run
from .runtime import require_runtime, runtime_agreement, runtime_verdict
from .seal import Seal


def look(folder: Path, root: Path = ROOT) -> tuple[Manifest, Machine]:
    """Check a bundle's files and read the machine, without any compiler.

    Raises:
        InputError: the bundle is damaged.
    """
    return check_folder(folder), read_machine(root)


def check_machine(
    folder: Path, work: Path, root: Path = ROOT
) -> tuple[Manifest, Machine, Compiler, Identity, Preflight]:
    """Bundle, machine and compiler, or one sentence why not.

    Raises:
        InputError: the bundle is damaged.
        MachineError: this machine is not the target or lacks something.
    """
    manifest, machine = look(folder, root)
    require_target(manifest, machine)
    compiler = find_compiler(manifest.backend)
    identity = compiler.identity()
    facts = {"title": identity.title, "version": identity.version, "gpu": identity.gpu}
    return manifest, machine, compiler, identity, preflight(manifest, machine, facts, work)


def verify(folder: Path, work: Path, out: Path, options: Options, say: Say) -> dict[str, Any]:
    """Build, prove, time and choose.

    Args:
        folder: unpacked bundle.
        work: for engines and progress; kept between runs.
        out: run folder to write or replace.
        options: see :class:`Options`.
        say: told of every step.

    Returns:
        The report, as written to ``out/report.json``.

    Raises:
        InputError, MachineError: one sentence each; an earlier run at ``out`` is kept.
    """
    _require_own_folders(folder, work, out)
    clock: dict[str, float] = {}
    with _stage(clock, "preflight"):
        manifest, machine, compiler, identity, found = check_machine(folder, work, options.root)
    for name, value in found.lines:
        say(f"{name}: {value}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    task = SegmentationTask.from_table(manifest.task, folder)
    pictures = _pictures(folder, manifest, task, options)
    with parsing(folder, "a sound bundle (its gate)", "make the bundle again"):
        gate = Gate(**manifest.gate) if manifest.gate else None
    require_enough(gate, len(pictures), options.allow_small)
    if options.runtime is not None:
        require_runtime(options.runtime, manifest, options.images is not None)
    seal = Seal(work, options.root)
    job = ProofJob(manifest, folder, work, seal, options, task, pictures, gate, compiler, identity, say)
    bench = BundleBench(job, found.workspace)
    with _stage(clock, "build"):
        # A graph that is no candidate is only needed where there are no bundled reference outputs.
        wanted = [one for one in manifest.candidates if one.candidate or options.images is not None]
        built, unbuilt = build_each(bench, wanted, work / "engines")
    kept = {candidate.name: engine for candidate, engine in built}
    with _stage(clock, "reference"):
        reference = _reference(job, kept)
    with _stage(clock, "check"):
        checked, unchecked = check_each(bench, [pair for pair in built if pair[0].candidate], reference)
    proofs = {candidate.name: proof for candidate, _, proof in checked}
    if options.runtime is not None:
        with _stage(clock, "C++ runtime"):
            for name, proof in proofs.items():
                proof["gate"] = _witnessed(job, options.runtime, name, kept[name], proof)
    racing = [candidate for candidate, _, _ in checked]
    inputs, effort = [next(pictures.inputs(task))], Effort(options.seconds, options.min_runs)
    with _stage(clock, "profile"):
        timed = dict(zip((one.name for one in racing), bench.times(racing, inputs, effort) or ()))
        layers = {one.name: bench.layers(one) for one in racing if isinstance(timed[one.name], Timed)}
    measured = {name: row.compute for name, row in timed.items() if isinstance(row, Timed)}
    untimed = [row for row in timed.values() if isinstance(row, Refusal)]
    refused = {refusal.name: refusal for refusal in (*unbuilt, *unchecked, *untimed)}
    rows = [
        engine_row(one, manifest.backend, kept[one.name], proofs[one.name], measured[one.name], layers[one.name])
        if one.name in measured
        else failed_row(one, manifest.backend, gate.name if gate else NONE, refused[one.name].reason)
        for one in manifest.candidates
        if one.candidate
    ]
    for row in rows:
        say(_sentence(row))
    _require_any(rows, refused.values())
    passing = [
        (one, _contender(kept[one.name], proofs[one.name], measured[one.name]))
        for one in racing
        if one.name in measured and proofs[one.name]["gate"]["passed"]
    ]
    with _stage(clock, "profile"):
        winner = choose(passing, bench, inputs, effort)
    chosen = winner.winner if winner else None
    own = [row.dice for row in per_image_dice(reference, reference)]
    report = assemble(
        manifest,
        pictures,
        rows,
        {**reference_scores(reference), "backend": _reference_backend(job)},
        bundle_environment(manifest, machine, identity, asdict(bench.idle) if bench.idle else None),
        clock,
        {
            "names": list(pictures.names),
            "reference": own,
            "engines": {name: proofs[name]["per_image_dice"] for name in measured},
        },
        chosen,
        [*found.warnings, *_notes(job), *filter(None, [winner.sentence() if winner else ""])],
    )
    write_run(out, report, manifest, kept, folder)
    shutil.rmtree(str(work / "progress"), ignore_errors=True)
    say(f"chosen: {chosen}" if chosen else "no engine passes the gate")
    return report


def _require_own_folders(folder: Path, work: Path, out: Path) -> None:
    """Refuse a run folder that would replace the bundle or the work, and anything foreign among the bundle's files.

    A folder that holds something other than a run is never replaced.
    """
    bundle, results, kept = folder.resolve(), out.resolve(), work.resolve()
    for path, place, own in ((out, results, "run"), (work, kept, "work")):
        if place == bundle or (bundle in place.parents and place != bundle / own):
            raise InputError(f"{path}: lies among the bundle's files; give a folder outside, or {folder / own}")
    if results in bundle.parents or results == kept or results in kept.parents:
        raise InputError(f"{out}: holds the bundle or its work, and a run replaces it; give a folder of its own")
    if out.exists() and not (out.is_dir() and ((out / REPORT).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out}: holds something else (no {REPORT} in it); choose another --out")


def _pictures(folder: Path, manifest: Manifest, task: SegmentationTask, options: Options) -> Pictures:
    if options.images is not None:
        return supplied(options.images, task)
    if not manifest.data["images"]:
        raise InputError("this bundle carries no images; add --images FOLDER with some of this device's own")
    return bundled(folder, manifest)


def _reference(job: ProofJob, kept: dict[str, CachedEngine]) -> Evaluation:
    """What the float network makes of the images, with the truth to score against."""
    task, pictures = job.task, job.pictures
    if job.options.images is not None:
        return _float_engine(job, kept)
    assert pictures.masks is not None
    outputs, labels = bundled_reference(job.bundle), bundled_labels(job.bundle, task, len(pictures))
    return evaluation_of(outputs, pictures.masks, task, pictures.names, pictures.columns, labels)


def _float_engine(job: ProofJob, kept: dict[str, CachedEngine]) -> Evaluation:
    """Without masks the float network's own are the truth: Dice is then agreement with it."""
    floats = [c for c in job.manifest.candidates if c.precision == "fp32" and c.name in kept]
    if not floats:
        raise InputError("no FP32 engine could be built to compare with; check the bundled images instead")
    job.say(f"{floats[0].name}: running it as the reference")
    with contextlib.closing(kept[floats[0].name].load(job.compiler)) as runner:
        shown = job.pictures.shown(job.task, job.pictures.masks)
        return evaluate_shown(runner.run, shown, job.task, job.pictures.columns)


def _contender(kept: CachedEngine, proof: Mapping[str, Any], measured: Measured) -> Contender:
    """An engine that passes, as the choice of the winner sees it."""
    accuracy = proof["accuracy"]
    return Contender(
        kept.candidate.name, measured.blocks, accuracy["dice"]["retained"], accuracy["agreement"], kept.bytes
    )


def _witnessed(job: ProofJob, program: Path, name: str, kept: CachedEngine, proof: dict[str, Any]) -> dict[str, Any]:
    """An engine's verdict once the C++ runtime was asked as well."""
    job.say(f"{name}: checking it in the C++ runtime")
    candidate = next(c for c in job.manifest.candidates if c.name == name)
    folder = job.work / "runtime" / name
    with replaced_folder(folder, ENGINE) as fresh:
        write_engine(fresh, candidate, job.manifest, kept, job.bundle)
    try:
        check, sentence = runtime_verdict(
            proof["accuracy"]["agreement"], runtime_agreement(program, folder, job.bundle)
        )
    finally:
        shutil.rmtree(str(folder.parent), ignore_errors=True)
    gate = proof["gate"]
    reasons = gate["reasons"] + ([] if check["passed"] else [sentence])
    return {**gate, "passed": not reasons, "reasons": reasons, "checks": [*gate["checks"], check]}


def _require_any(rows: Sequence[Mapping[str, Any]], refused: Iterable[Refusal]) -> None:
    """Where this machine, not the networks, is why there is no engine at all, say so with its exit code."""
    machine = [refusal for refusal in refused if refusal.machine]
    if machine and all(row["path"] is None for row in rows):
        raise MachineError(machine[0].reason)


def _reference_backend(job: ProofJob) -> str:
    if job.options.images is None:
        return str(job.manifest.reference.get("backend", "onnxruntime"))
    return f"{job.manifest.backend}, fp32, on the device"


def _notes(job: ProofJob) -> list[str]:
    notes = [f"verified from bundle {job.manifest.sha256[:16]}"]
    if job.options.images is not None:
        notes.append("the reference is the FP32 engine built on this device, on images of this device")
    if job.pictures.masks is None:
        notes.append("there were no masks: the reference's masks stand for the truth, so Dice is agreement with it")
    return notes


def _sentence(row: dict[str, Any]) -> str:
    verdict = "passes" if row["gate"]["passed"] else "fails: " + "; ".join(row["gate"]["reasons"])
    if row["latency_ms"] is None:
        return f"{row['name']}: {verdict}"
    dice, p50 = row["accuracy"]["dice"], row["latency_ms"]["p50"]
    return f"{row['name']}: {p50:.3f} ms, Dice {dice['mean']:.4f} (retained {dice['retained']:.4f}), {verdict}"


@contextlib.contextmanager
def _stage(clock: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    clock[name] = clock.get(name, 0.0) + time.perf_counter() - start
