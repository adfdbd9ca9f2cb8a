"""The proof of one engine: accuracy against the bundled reference, parity, the gate's verdict, latency and power.

Kept on disk as soon as it is there, so that an interrupted run does not measure twice.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator

import numpy as np

from ..accuracy.compare import compare, per_image_dice
from ..accuracy.evaluate import Evaluation, evaluation_of
from ..accuracy.gate import Gate, judge
from ..accuracy.sqnr import parity_db
from ..backends.compiler import Identity, Runner, Toolkit
from ..codec import encode
from ..errors import EdgeError
from ..files import recover_json, sha256_table, write_json
from ..machine.machine import ROOT, read_machine
from ..machine.rails import IDLE_S, Meter, Power, energy, find_rails
from ..task.task import SegmentationTask
from .engines import CachedEngine
from .manifest import Candidate, Manifest
from .pictures import PROBES, Pictures, bundled
from .timing import measure

if TYPE_CHECKING:
    from ..task.task import SegmentationTask

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to verify.

    Attributes:
        seconds: of timing for each engine.
        min_runs: fewest timed runs for each.
        images: folder with images of the device; None uses the bundled ones.
        allow_small: judge on fewer than 20 images.
        runtime: the C++ ``segedge-run`` of this machine, to prove every engine through it as well.
        root: where ``proc``, ``sys`` and ``etc`` lie.
    """

    seconds: float = 10.0
    min_runs: int = 100
    images: Path | None = None
    allow_small: bool = False
    runtime: Path | None = None
    root: Path = ROOT


@dataclass(frozen=True)
class Job:
    """Everything that does not change from engine to engine."""

    manifest: Manifest
    bundle: Path
    work: Path
    options: Options
    task: SegmentationTask
    pictures: Pictures
    gate: Gate | None
    toolkit: Toolkit
    identity: Identity
    say: Say

    def progress(self, kept: CachedEngine) -> Path:
        """Where the proof of an engine is kept until the report is written; the name holds all it depends on."""
        inputs = [self.manifest.sha256, dict(kept.files), dict(kept.key), self.pictures.sha256]
        settings = [self.options.seconds, self.options.min_runs, self.options.allow_small]
        return self.work / "progress" / f"{sha256_table([inputs, settings])[:32]}.json"


def prove(
    job: Job,
    candidate: Candidate,
    kept: CachedEngine,
    reference: Evaluation,
    idle: Power | None,
) -> tuple[dict[str, Any] | None, EdgeError | None]:
    """Accuracy, verdict and latency of one engine; taken from disk where an interrupted run left it."""
    path = job.progress(kept)
    earlier = recover_json(path)
    if isinstance(earlier, dict):
        job.say(f"{candidate.name}: checked and timed before the interruption")
        return earlier, None
    try:
        with loaded(job, candidate, kept) as runner:
            proof = _measure(job, candidate, runner, reference, idle)
    except EdgeError as fault:
        return None, fault
    write_json(path, proof)
    return proof, None


def _measure(
    job: Job,
    candidate: Candidate,
    runner: Runner,
    reference: Evaluation,
    idle: Power | None,
) -> dict[str, Any]:
    task, pictures, options = job.task, job.pictures, job.options
    job.say(f"{candidate.name}: checking on {len(pictures)} images")
    outputs = np.concatenate([runner.run(image) for image in pictures.inputs(task)])
    seen = evaluation_of(outputs, reference.truth, task, pictures.names, pictures.columns)
    parity = _parity(job, candidate, runner)
    strata, group = (column[0] if column else None for column in (pictures.strata, pictures.groups))
    accuracy = compare(seen, reference, parity, strata, group)
    verdict = judge(job.gate, accuracy, candidate.precision, candidate.rest, options.allow_small)
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
        "accuracy": encode(accuracy),
        "latency_ms": measured.table,
        "layers": runner.layers(),
        "gate": encode(verdict),
        "latency_quantiles_ms": measured.quantiles,
        "per_image_dice": [row.dice for row in per_image_dice(seen, reference)],
    }


def _parity(job: Job, candidate: Candidate, runner: Runner) -> float:
    """Decibels against what ONNX Runtime, optimizations off, made of the same graph on the workstation."""
    with np.load(str(job.bundle / candidate.parity), allow_pickle=False) as archive:
        indices, expected = archive["indices"], archive["outputs"]
    if job.manifest.data["images"]:
        pixels = bundled(job.bundle, job.manifest).pixels
    else:
        with np.load(str(job.bundle / PROBES), allow_pickle=False) as archive:
            pixels = archive["pixels"]
    return parity_db(expected, [runner.run(job.task.normalized(pixels[i])[None])[0] for i in indices])


@contextlib.contextmanager
def loaded(job: Job, candidate: Candidate, kept: CachedEngine) -> Iterator[Runner]:
    runner = job.toolkit.load(candidate, kept.folder, kept.built, job.task.output_name)
    try:
        yield runner
    finally:
        runner.close()


def measure_idle(options: Options) -> Power | None:
    rails = find_rails(options.root)
    if not rails:
        return None
    with Meter(rails) as meter:
        time.sleep(IDLE_S)
    return meter.power()


def _hottest(root: Path) -> float | None:
    return max((degrees for _, degrees in read_machine(root).temperatures), default=None)
