"""The proof of one engine: accuracy against the bundled reference, parity, and the gate's verdict.

Each check is kept on disk under this board's seal as soon as it is there, so that an interrupted run does not check
twice.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Sequence

from ..accuracy.checked import Parity, judged
from ..accuracy.compare import per_image_dice
from ..accuracy.evaluate import Evaluation, evaluate_shown
from ..accuracy.gate import Gate
from ..accuracy.sqnr import parity_db
from ..backends.compiler import BoardCandidate, Compiler, Identity
from ..backends.runner import Runner
from ..errors import InputError
from ..files import sha256_table
from ..latency.trial import Advance, silent
from ..machine.machine import ROOT
from ..storage.arrays import read_arrays
from ..storage.codec import encode
from .engines import CachedEngine
from .manifest import Manifest
from .pictures import PROBES, Pictures, bundled
from .seal import Seal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
class ProofJob:
    """Everything that does not change from engine to engine."""

    manifest: Manifest
    bundle: Path
    work: Path
    seal: Seal
    options: Options
    task: SegmentationTask
    pictures: Pictures
    gate: Gate | None
    compiler: Compiler
    identity: Identity
    say: Say

    def progress(self, kept: CachedEngine) -> Path:
        """Where the check of an engine is kept until the report is written; the name holds all it depends on."""
        inputs = [self.manifest.sha256, dict(kept.files), dict(kept.key), self.pictures.sha256]
        return self.work / "progress" / f"{sha256_table([inputs, self.options.allow_small])[:32]}.json"


def check(job: ProofJob, kept: CachedEngine, reference: Evaluation, advance: Advance = silent) -> dict[str, Any]:
    """Accuracy and verdict of one engine; taken from disk where an interrupted run of this board left it.

    Returns:
        ``accuracy``, ``gate`` and ``per_image_dice``, as the report has them.

    Raises:
        EdgeError: it cannot be loaded or run.
    """
    path = job.progress(kept)
    earlier = job.seal.read(path)
    if earlier is not None:
        job.say(f"{kept.candidate.name}: checked before the interruption")
        return dict(earlier)
    job.say(f"{kept.candidate.name}: checking on {len(job.pictures)} images")
    with contextlib.closing(kept.load(job.compiler)) as runner:
        found = _check(job, kept, runner, reference, advance)
    job.seal.write(path, found)
    return found


def _check(
    job: ProofJob, kept: CachedEngine, runner: Runner, reference: Evaluation, advance: Advance
) -> dict[str, Any]:
    task, pictures, candidate = job.task, job.pictures, kept.candidate
    shown = pictures.shown(task, reference.truth)
    seen = evaluate_shown(runner.run, shown, task, pictures.columns, advance, reference.outputs)
    strata, group = (column[0] if column else None for column in (pictures.strata, pictures.groups))
    parity = Parity(_parity(job, candidate, runner))
    found = judged(
        seen,
        reference,
        parity,
        job.gate,
        candidate.precision,
        candidate.rest,
        strata=strata,
        group=group,
        allow_small=job.options.allow_small,
    )
    return {
        "accuracy": encode(found.accuracy),
        "gate": encode(found.verdict),
        "per_image_dice": [row.dice for row in per_image_dice(seen, reference)],
    }


def _parity(job: ProofJob, candidate: BoardCandidate, runner: Runner) -> float:
    """Decibels against what ONNX Runtime, optimizations off, made of the same graph on the workstation."""
    remedy = "make the bundle again"
    parity = read_arrays(job.bundle / candidate.parity, ("indices", "outputs"), remedy)
    indices, expected = parity["indices"], parity["outputs"]
    seen = _parity_inputs(job, remedy)
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or (len(indices) and int(indices.max()) >= len(seen)):
        raise InputError(f"{job.bundle / candidate.parity}: names images that are not there; {remedy}")
    return parity_db(expected, [runner.run(seen[index]())[0] for index in indices.tolist()])


def _parity_inputs(job: ProofJob, remedy: str) -> Sequence[Callable[[], NDArray[np.float32]]]:
    """Each makes one ``[1, channels, height, width]``, of a bundled image or a made-up one."""
    if job.manifest.data["images"]:
        pictures = bundled(job.bundle, job.manifest)
        return [lambda i=i: pictures.input(i, job.task)[None] for i in range(len(pictures))]  # type: ignore[misc]
    pixels = read_arrays(job.bundle / PROBES, ("pixels",), remedy)["pixels"]
    return [lambda image=image: job.task.normalized(image)[None] for image in pixels]  # type: ignore[misc]
