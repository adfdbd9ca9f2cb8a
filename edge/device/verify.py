"""The whole path on the device: check the bundle and the machine, build, prove, time, choose, write the report.

Every step leaves its result on disk before the next one begins. Run it again after a power cut and it goes on.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

import numpy as np

from .engines import Kept, obtain
from .faults import BundleFault, DeviceFault, MachineFault
from .files import read_json, sha256_table, write_json
from .gate import judge, require_enough
from .machine import ROOT, Machine, read_machine
from .manifest import Candidate, Manifest, check_folder
from .pictures import PROBES, Pictures, bundled, bundled_reference, supplied
from .power import IDLE_S, Meter, Power, energy, find_rails
from .preflight import Preflight, preflight, require_target
from .report import assemble, choose, engine_row, environment, failed_row, write_run
from .scores import Seen, compare, per_image_dice, reference_scores, see, sqnr_db
from .task import Task, read_task
from .timing import measure
from .toolkit import Identity, Runner, Toolkit, find_toolkit

if TYPE_CHECKING:
    from numpy.typing import NDArray

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to verify.

    Attributes:
        seconds: of timing for each engine.
        min_runs: fewest timed runs for each.
        images: folder with images of the device; None uses the bundled ones.
        allow_small: judge on fewer than 20 images.
        root: where ``proc``, ``sys`` and ``etc`` lie.
    """

    seconds: float = 10.0
    min_runs: int = 100
    images: Path | None = None
    allow_small: bool = False
    root: Path = ROOT


@dataclass(frozen=True)
class _Job:
    """Everything that does not change from engine to engine."""

    manifest: Manifest
    bundle: Path
    work: Path
    options: Options
    task: Task
    pictures: Pictures
    gate: dict[str, Any] | None
    toolkit: Toolkit
    identity: Identity
    say: Say

    def progress(self, kept: Kept) -> Path:
        """Where the proof of an engine is kept until the report is written; the name holds all it depends on."""
        inputs = [self.manifest.sha256, dict(kept.files), dict(kept.key), self.pictures.sha256]
        settings = [self.options.seconds, self.options.min_runs, self.options.allow_small]
        return self.work / "progress" / f"{sha256_table([inputs, settings])[:32]}.json"


def look(folder: Path, root: Path = ROOT) -> tuple[Manifest, Machine]:
    """Check a bundle's files and read the machine, without any compiler.

    Raises:
        BundleFault: the bundle is damaged.
    """
    return check_folder(folder), read_machine(root)


def check_machine(
    folder: Path, work: Path, root: Path = ROOT
) -> tuple[Manifest, Machine, Toolkit, Identity, Preflight]:
    """Bundle, machine and compiler, or one sentence why not.

    Raises:
        BundleFault: the bundle is damaged.
        MachineFault: this machine is not the target or lacks something.
    """
    manifest, machine = look(folder, root)
    require_target(manifest, machine)
    toolkit = find_toolkit(manifest.backend)
    identity = toolkit.identity()
    facts = {"title": identity.title, "version": identity.version, "gpu": identity.gpu}
    return manifest, machine, toolkit, identity, preflight(manifest, machine, facts, work)


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
        BundleFault, MachineFault: one sentence each; an earlier run at ``out`` is kept.
    """
    clock: dict[str, float] = {}
    with _stage(clock, "preflight"):
        manifest, machine, toolkit, identity, found = check_machine(folder, work, options.root)
    for name, value in found.lines:
        say(f"{name}: {value}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    task = read_task(manifest.task)
    pictures = _pictures(folder, manifest, task, options)
    gate = dict(manifest.gate) or None
    require_enough(gate, len(pictures), options.allow_small)
    job = _Job(manifest, folder, work, options, task, pictures, gate, toolkit, identity, say)
    with _stage(clock, "build"):
        kept, refused = _build_all(job, found.workspace)
    with _stage(clock, "reference"):
        reference, truth = _reference(job, kept)
    idle = _idle(options)
    rows: list[dict[str, Any]] = []
    series: dict[str, list[float]] = {}
    for candidate in manifest.candidates:
        if not candidate.candidate:
            continue
        proof, fault = None, refused.get(candidate.name)
        if fault is None:
            with _stage(clock, "check and profile"):
                proof, fault = _prove(job, candidate, kept[candidate.name], reference, truth, idle)
        if proof is None:
            rows.append(failed_row(candidate, manifest.backend, gate["name"] if gate else "none", str(fault)))
            refused[candidate.name] = fault or BundleFault("no proof")
        else:
            rows.append(engine_row(candidate, manifest.backend, kept[candidate.name], proof))
            series[candidate.name] = proof["per_image_dice"]
        say(_sentence(rows[-1]))
    _require_any(rows, refused)
    own = [r["reference_dice"] for r in per_image_dice(reference, reference, pictures.names)]
    report = assemble(
        manifest,
        pictures,
        rows,
        {**reference_scores(reference), "backend": _reference_backend(job)},
        environment(manifest, machine, identity, asdict(idle) if idle else None),
        clock,
        {"names": list(pictures.names), "reference": own, "engines": series},
        [*found.warnings, *_notes(job)],
    )
    write_run(out, report, manifest, kept, folder)
    shutil.rmtree(str(work / "progress"), ignore_errors=True)
    chosen = choose(rows, manifest.candidates)
    say(f"chosen: {chosen}" if chosen else "no engine passes the gate")
    return report


def _pictures(folder: Path, manifest: Manifest, task: Task, options: Options) -> Pictures:
    if options.images is not None:
        return supplied(options.images, task)
    if not manifest.data["images"]:
        raise BundleFault("this bundle carries no images; add --images FOLDER with some of this device's own")
    return bundled(folder, manifest)


def _build_all(job: _Job, workspace: int) -> tuple[dict[str, Kept], dict[str, DeviceFault]]:
    kept, refused = {}, {}
    for candidate in job.manifest.candidates:
        if not candidate.candidate and job.options.images is None:
            continue  # only needed where there are no bundled reference outputs
        try:
            kept[candidate.name] = obtain(
                job.toolkit, job.identity, job.manifest, candidate, job.bundle, job.work, workspace, job.say
            )
        except DeviceFault as fault:
            refused[candidate.name] = fault
    return kept, refused


def _reference(job: _Job, kept: dict[str, Kept]) -> tuple[Seen, Sequence[NDArray[np.uint8]]]:
    """What the float network makes of the images, and the truth to score against."""
    task, pictures = job.task, job.pictures
    outputs = bundled_reference(job.bundle) if job.options.images is None else _float_engine(job, kept)
    truth: Sequence[NDArray[np.uint8]]
    if pictures.masks is not None:
        truth = pictures.masks
    else:  # without masks the float network's own are the truth: Dice is then agreement with it
        truth = [task.labels(output, shape) for output, shape in zip(outputs, pictures.shapes)]
    return see(outputs, truth, task), truth


def _float_engine(job: _Job, kept: dict[str, Kept]) -> NDArray[np.float32]:
    floats = [c for c in job.manifest.candidates if c.precision == "fp32" and c.name in kept]
    if not floats:
        raise BundleFault("no FP32 engine could be built to compare with; check the bundled images instead")
    job.say(f"{floats[0].name}: running it as the reference")
    with _loaded(job, floats[0], kept[floats[0].name]) as runner:
        return np.concatenate([runner.run(image) for image in job.pictures.inputs(job.task)])


def _prove(
    job: _Job, candidate: Candidate, kept: Kept, reference: Seen, truth: Sequence[NDArray[np.uint8]], idle: Power | None
) -> tuple[dict[str, Any] | None, DeviceFault | None]:
    """Accuracy, verdict and latency of one engine; taken from disk where an interrupted run left it."""
    path = job.progress(kept)
    earlier = read_json(path)
    if isinstance(earlier, dict):
        job.say(f"{candidate.name}: checked and timed before the interruption")
        return earlier, None
    try:
        with _loaded(job, candidate, kept) as runner:
            proof = _measure(job, candidate, runner, reference, truth, idle)
    except DeviceFault as fault:
        return None, fault
    write_json(path, proof)
    return proof, None


def _measure(
    job: _Job,
    candidate: Candidate,
    runner: Runner,
    reference: Seen,
    truth: Sequence[NDArray[np.uint8]],
    idle: Power | None,
) -> dict[str, Any]:
    task, pictures, options = job.task, job.pictures, job.options
    job.say(f"{candidate.name}: checking on {len(pictures)} images")
    outputs = np.concatenate([runner.run(image) for image in pictures.inputs(task)])
    seen = see(outputs, truth, task)
    parity = _parity(job, candidate, runner)
    accuracy = compare(seen, reference, task, pictures.names, parity, pictures.strata, pictures.groups)
    job.say(f"{candidate.name}: timing for {options.seconds:g} s")
    image = next(pictures.inputs(task))
    before = _hottest(options.root)
    with Meter(find_rails(options.root)) as meter:
        measured = measure(
            lambda: runner.time(image), options.seconds, runner.conditions(), options.min_runs, options.root
        )
    machine = read_machine(options.root)
    measured.table["conditions"].update(
        power=energy(idle, meter.power(), measured.seconds, measured.runs),
        power_mode=machine.power_mode,
        clocks_fixed=machine.clocks_fixed,
        hottest_before=before,
        hottest_after=_hottest(options.root),
        seconds=options.seconds,
    )
    return {
        "accuracy": accuracy,
        "latency_ms": measured.table,
        "layers": runner.layers(),
        "gate": judge(job.gate, accuracy, candidate.precision, candidate.rest),
        "latency_quantiles_ms": measured.quantiles,
        "per_image_dice": [row["dice"] for row in per_image_dice(seen, reference, pictures.names)],
    }


def _parity(job: _Job, candidate: Candidate, runner: Runner) -> float:
    """Decibels against what ONNX Runtime, optimizations off, made of the same graph on the workstation."""
    with np.load(str(job.bundle / candidate.parity), allow_pickle=False) as archive:
        indices, expected = archive["indices"], archive["outputs"]
    if job.manifest.data["images"]:
        pixels = bundled(job.bundle, job.manifest).pixels
    else:
        with np.load(str(job.bundle / PROBES), allow_pickle=False) as archive:
            pixels = archive["pixels"]
    return sqnr_db(expected, (runner.run(job.task.normalized(pixels[i])[None])[0] for i in indices))


@contextlib.contextmanager
def _loaded(job: _Job, candidate: Candidate, kept: Kept) -> Iterator[Runner]:
    runner = job.toolkit.load(candidate, kept.folder, kept.built, job.task)
    try:
        yield runner
    finally:
        runner.close()


def _idle(options: Options) -> Power | None:
    rails = find_rails(options.root)
    if not rails:
        return None
    with Meter(rails) as meter:
        time.sleep(IDLE_S)
    return meter.power()


def _hottest(root: Path) -> float | None:
    return max((degrees for _, degrees in read_machine(root).temperatures), default=None)


def _require_any(rows: Sequence[dict[str, Any]], refused: dict[str, DeviceFault]) -> None:
    """Where this machine, not the networks, is why there is no engine at all, say so with its exit code."""
    machine = [fault for fault in refused.values() if isinstance(fault, MachineFault)]
    if machine and all(row["path"] is None for row in rows):
        raise machine[0]


def _reference_backend(job: _Job) -> str:
    if job.options.images is None:
        return str(job.manifest.reference.get("backend", "onnxruntime"))
    return f"{job.manifest.backend}, fp32, on the device"


def _notes(job: _Job) -> list[str]:
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
