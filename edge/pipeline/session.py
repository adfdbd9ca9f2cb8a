"""A job: what the user asked for, looked up and checked before any time is spent on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.gate import Criteria, load_gate, require_enough
from edge.backends.engine import PRECISIONS
from edge.boards.address import Address
from edge.errors import InputError
from edge.graph.macs import count_macs
from edge.graph.model import Model
from edge.images.consistency import require_sound_masks
from edge.images.image_set import ImageSet, load_image_set
from edge.images.leaks import require_apart, require_disjoint
from edge.images.manifest import SPLITS
from edge.loading import ModelSource, TaskSource
from edge.pipeline.effort import DEFAULT, EFFORTS, find_effort
from edge.pipeline.model_request import ModelRequest
from edge.pipeline.progress import Progress
from edge.search.bench import Bench
from edge.search.open_bench import open_bench, open_remote_bench
from edge.targets.local import resolve
from edge.targets.target import CPU, Target, find_target
from edge.task.task import SegmentationTask

Advance = Callable[[], object]

CALIBRATION_IMAGES = 64
MOST_TILES = 4
_MOST_PAIRS = 3
_ALIKE = (
    "{} images look like one of another split, though not to the pixel (the command named them): where they are "
    "copies, all scores here are flattered"
)
"""Of an image in tiles, so many are looked at where ranges are learned; they are spread over it."""
_RUNS_EACH = 12


@dataclass(frozen=True)
class Request:
    """What the user asked for; field names are those of :func:`edge.deploy`."""

    model: ModelSource
    data: Path | ImageSet
    target: str | None = None
    precisions: tuple[str, ...] | None = None
    gate: str = "99.9"
    budget_seconds: float | None = None
    effort: str = DEFAULT
    bias_correction: bool = False
    dequantize: bool = False
    out: Path | None = None
    weights: Path | None = None
    task: TaskSource | None = None
    jetpack: str | None = None
    calibration_images: int = CALIBRATION_IMAGES
    threads: int | None = None
    latency_seconds: float = EFFORTS[DEFAULT].latency_seconds
    strata: str | None = None
    group: str | None = None
    allow_small: bool = False
    allow_overlap: bool = False
    report_images: bool = True
    sweep: bool = False
    explain: bool = False
    backend: str | None = None
    on: Address | None = None
    command: str = ""

    @property
    def source(self) -> ModelRequest:
        """The network to load."""
        return ModelRequest(self.model, self.weights, self.task, self.dequantize)


@dataclass(frozen=True)
class Splits:
    """Images for three purposes, no picture in two of them.

    Attributes:
        calibration: of train; ranges are learned here.
        search: val; decisions are made here.
        evaluation: test; the verdict, scored once.
        notes: what readers of a report must know of them, without any name.
    """

    calibration: ImageSet
    search: ImageSet
    evaluation: ImageSet
    notes: tuple[str, ...] = ()


@dataclass
class Clock:
    """Seconds spent in each stage, told to whoever watches."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        self.progress.stage(name, total)
        start = time.perf_counter()  # whoever is told may wait for the machine first
        yield self.progress.advance
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def searching(self, doing: str, left: float) -> None:
        """What a search of precisions is at, and the seconds left to it."""
        self.progress.remaining(left)
        self.progress.detail(f"search: {doing} ({left:.0f} s left)")


@dataclass(frozen=True)
class Job:
    """A request with everything in it looked up."""

    request: Request
    model: Model
    target: Target
    criteria: Criteria
    splits: Splits
    precisions: tuple[str, ...]
    clock: Clock
    bench: Bench

    @property
    def budget_seconds(self) -> float:
        """Of fusion and search together: as asked for, else what the effort gives a network of this size."""
        asked = self.request.budget_seconds
        return find_effort(self.request.effort).budget_seconds(count_macs(self.model)) if asked is None else asked

    @property
    def seconds_each(self) -> float:
        """That building and timing one graph is expected to take, before any was, by what the reference takes an image;
        0 where that is not known yet."""
        spent = self.clock.seconds.get("reference", 0.0)
        return _RUNS_EACH * spent / max(1, len(self.splits.evaluation)) if self.bench.measured else 0.0

    @property
    def folder_name(self) -> str:
        """``NAME-TARGET``, of letters that are safe in a path whatever a file calls itself."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.model.name}-{self.target.name}").lstrip(".")

    def inputs(self, images: ImageSet) -> Iterator[NDArray[np.float32]]:
        """What the network sees of the images, one ``[1, channels, height, width]`` at a time."""
        return network_inputs(images, self.model.task)


def prepare(request: Request, progress: Progress) -> Job:
    """Look up, load and refuse early, before any time is spent.

    Raises:
        InputError: unknown target, JetPack, gate or precision; a model or an image set at fault.
    """
    criteria = Criteria(load_gate(request.gate), request.strata, request.group)
    target, bench = _open_bench(request, progress)
    try:
        return _prepare(request, progress, target, bench, criteria)
    except BaseException:
        bench.close()
        raise


def _open_bench(request: Request, progress: Progress) -> tuple[Target, Bench]:
    """The target, and what is asked of it: this machine, the board that was named, or a simulation."""
    if request.on is None:
        target = resolve(find_target(request.target or CPU), request.backend)
        return target, open_bench(target, request.jetpack, request.threads)
    if request.threads is not None or request.sweep:
        option = "--sweep" if request.sweep else "--threads"
        raise InputError(f"{option}: is of this machine's CPU and does not go with --on {request.on}; leave one out")
    return open_remote_bench(
        request.on, request.target, request.jetpack, request.backend, look=lambda: progress.advance(0)
    )


def _prepare(request: Request, progress: Progress, target: Target, bench: Bench, criteria: Criteria) -> Job:
    if request.sweep and not bench.measured:
        raise InputError(f"--sweep: {target.name} is not this machine, so nothing is timed here; leave it out")
    precisions = request.precisions or target.precisions
    for name in precisions:
        if name not in PRECISIONS:
            raise InputError(f"--precisions {name}: unknown; known precisions are {', '.join(PRECISIONS)}")
    clock = Clock(progress)
    with clock.stage("images"):
        splits = split(open_images(request.data, progress), request.calibration_images, request.allow_overlap, progress)
    require_enough(criteria.gate, len(splits.evaluation), request.allow_small)
    require_column(splits.evaluation, request.strata, "--strata")
    require_column(splits.evaluation, request.group, "--group")
    with clock.stage("load"):
        model = request.source.open(progress)
        require_sound_masks((splits.search, splits.evaluation), model.task)
        model = frozen(model, splits.calibration, progress)
    return Job(request, model, target, criteria, splits, tuple(dict.fromkeys(precisions)), clock, bench)


def network_inputs(images: ImageSet, task: SegmentationTask) -> Iterator[NDArray[np.float32]]:
    """What the network sees of the images, one ``[1, channels, height, width]`` at a time; of tiles, a few an image."""
    return (seen[None] for sample in images for seen in task.inputs(sample.plane(task), MOST_TILES))


def frozen(model: Model, calibration: ImageSet, progress: Progress) -> Model:
    """The model with the figures of the calibration images in its task, where it takes them from a set.

    Raises:
        InputError: an image that does not decode, or holds what the task does not speak of.
    """
    task = model.task
    if task.frozen:
        return model
    learned = task.learned_from(lambda: (sample.plane(task) for sample in calibration))
    progress.say(f"{model.source or model.name}: its intensity was learned from {len(calibration)} calibration images")
    return replace(model, task=learned)


def open_images(source: Path | ImageSet, progress: Progress) -> ImageSet:
    """Open an image set, or take one; where it names no splits, tell the user which were drawn.

    Raises:
        InputError: see :func:`edge.images.image_set.load_image_set`.
    """
    images = source if isinstance(source, ImageSet) else load_image_set(source)
    for note in images.notes:
        progress.say(note)
    if images.drawn:
        members = {name: [sample.name for sample in images if sample.split == name] for name in SPLITS}
        counts = ", ".join(f"{len(names)} {name}" for name, names in members.items())
        lacks = "names no splits" if isinstance(source, ImageSet) else "has no manifest.csv"
        progress.say(f"{images.root}: {lacks}, so its images are split by a fixed seed: {counts} (-v lists them)")
        for name, names in members.items():
            progress.detail(f"{name}: {', '.join(names)}")
    return images


def require_column(images: ImageSet, column: str | None, option: str) -> None:
    """Refuse a column that the manifest lacks.

    Raises:
        InputError: names the columns it has.
    """
    known = sorted({name for sample in images for name in sample.columns})
    if column is not None and column not in known:
        has = f"beside image, mask and split it has {', '.join(known) or 'none'}"
        raise InputError(f"{images.root}: no column {column!r} for {option}; {has}")


def split(images: ImageSet, calibration_images: int, allow_overlap: bool, progress: Progress) -> Splits:
    """Calibration from train, search on val, verdict on test; refused where one picture or patient is in two of them.

    Args:
        images: the whole set.
        calibration_images: how many.
        allow_overlap: patients and volumes may be in two splits, at a cost that is said.
        progress: told of images that look alike, by name; a report has their number alone.

    Raises:
        InputError: an empty split, or an overlap.
    """
    train, val, test = (images.split(name) for name in SPLITS)
    sets = [("training", train), ("search", val), ("evaluation", test)]
    overlap = require_apart(sets, allow_overlap)
    alike = require_disjoint(sets)
    more = (f"{len(alike) - _MOST_PAIRS} more images look like one of another split",)
    for sentence in (*overlap, *alike[:_MOST_PAIRS], *(more if len(alike) > _MOST_PAIRS else ())):
        progress.say(sentence)
    notes = (*overlap, *((_ALIKE.format(len(alike)),) if alike else ()))
    return Splits(calibration_set(train, calibration_images), val, test, notes)


def calibration_set(train: ImageSet, count: int) -> ImageSet:
    """So many images spread over the train split.

    Raises:
        InputError: fewer than one asked for.
    """
    if count < 1:
        raise InputError(f"--calibration-images {count}: must be at least 1")
    return train.spread(count)
