"""Segment images with an engine: each mask on the grid of its image, in the format that goes with it.

A picture's mask is a PNG, a NIfTI volume's a NIfTI of the same affine, a DICOM series' a DICOM segmentation, a stack's
a TIFF.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.kept import KeptLabels
from edge.backends import find_backend
from edge.backends.engine import Runner, read_engine
from edge.errors import InputError, MachineError
from edge.files import replaced_file
from edge.images.case import Case
from edge.images.pictures import read_image
from edge.images.readers import always_one, stem
from edge.images.readers.stack import Layout
from edge.images.shelf import Shelf
from edge.images.writers import holds_classes_apart, suffix_of, write_mask
from edge.images.writers.mask import Mask
from edge.latency.pixels import PROOF_IMAGES, PixelRun, in_engine
from edge.pipeline.progress import Progress
from edge.task.fit import take_back
from edge.task.plane import Plane
from edge.task.task import SegmentationTask

_MOST_BITS = 8
MANY_IMAGES = 500
"""Compiling once more, with the task inside, takes as long as the host's share of some hundred images."""


@dataclass(frozen=True)
class Form:
    """How images are looked at and masks are written.

    Attributes:
        axis: axial, coronal or sagittal planes of volumes; None: as :func:`edge.images.grid.choose_view` chooses.
        one_file: overlapping classes as the bits of one file's values, the first class being 1, instead of one file a
            class.
    """

    axis: str | None = None
    one_file: bool = False


def segment_with_engine(
    engine: Path,
    images: Sequence[Path],
    out: Path,
    threads: int | None,
    progress: Progress,
    form: Form | None = None,
) -> list[Path]:
    """Masks of images by one engine; where there are many, with its task inside, if that gives the same masks."""
    opened = read_engine(engine)
    progress.stage("segment", len(images))
    with ExitStack() as stack:
        runner = stack.enter_context(closing(find_backend(opened.backend).load(opened, threads)))
        route = None
        if len(images) >= MANY_IMAGES and opened.task.fit != "tile" and all(map(_is_one_picture, images)):
            shown = [opened.task.resized(read_image(path)) for path in images[:PROOF_IMAGES]]
            inside = in_engine(opened, runner, shown, threads)
            progress.detail(f"task inside the engine: {inside.reason or f'same masks on {inside.images} images, used'}")
            if inside.runner is not None:
                route = stack.enter_context(closing(inside.runner)).run
        return segment_images(runner, opened.task, images, out, route, progress.advance, form, progress.say)


def segment_images(
    runner: Runner,
    task: SegmentationTask,
    images: Sequence[Path],
    out: Path,
    route: PixelRun | None = None,
    advance: Callable[[], object] = lambda: None,
    form: Form | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> list[Path]:
    """Write the mask of each image: 0 and 255 for a picture of at most two classes, class indices otherwise.

    Args:
        runner: a loaded engine.
        task: its pre- and post-processing.
        images: pictures, volumes or folders of series, any size; stems must differ, since a mask takes its image's.
            Files whose channels belong together are one, with ``;`` between their names.
        out: folder for the masks.
        route: from pixels at the network's size to class indices, for a task without tiles; None for the ordinary one.
        advance: called after each image.
        form: how they are written.
        say: told what is odd about an image's files, such as a slice that is missing.

    Raises:
        InputError: an image that does not decode, or two of one stem.
        MachineError: an image that may not be read, or a mask that cannot be written.
    """
    form = form or Form()
    if form.one_file and not (task.overlapping and len(task.classes) <= _MOST_BITS):
        raise InputError(f"--one-file: is for overlapping labels of at most {_MOST_BITS} classes; leave it out")
    shelf = Shelf()
    cases = [_case(path, shelf, form) for path in images]
    for note in dict.fromkeys(note for case in cases if case.volume for note in case.notes):
        say(note)
    targets = [_targets(case, task, out, form) for case in cases]
    _require_places(cases, targets)
    with ExitStack() as stack:  # masks appear together or, where an image does not decode, not at all
        for case, paths in zip(cases, targets, strict=True):
            values = _segment(case, runner, task, route)
            for path, mask in zip(paths, _masks(case, values, task, form), strict=True):
                write_mask(mask, stack.enter_context(replaced_file(path)))
            advance()
    return [path for paths in targets for path in paths]


def _is_one_picture(path: Path) -> bool:
    return always_one(path) and len(_files(path)) == 1


def _files(path: Path) -> tuple[Path, ...]:
    """Of an image: several where there is ``;`` between their names."""
    return (path,) if ";" not in str(path) or path.exists() else tuple(Path(p.strip()) for p in str(path).split(";"))


def _case(path: Path, shelf: Shelf, form: Form) -> Case:
    files, layout = _files(path), Layout(axis=form.axis)
    with _named(files):
        return Case(stem(files[0]), files, (), layout, shelf.image(files[0], layout).volume, shelf)


@contextmanager
def _named(files: Sequence[Path]) -> Iterator[None]:
    """An image that may not be read is named, since around it a mask is being written."""
    try:
        yield
    except PermissionError as error:
        where = error.filename or files[0]
        raise MachineError(f"{where}: cannot be read ({error.strerror}); check its permissions") from None


def _targets(case: Case, task: SegmentationTask, out: Path, form: Form) -> list[Path]:
    """Where the masks of a case go: one file, or one for each overlapping class."""
    suffix = suffix_of(case.images[0], case.volume)
    if not task.overlapping or form.one_file or holds_classes_apart(case.images[0], case.volume):
        return [out / f"{case.name}{suffix}"]
    return [out / f"{case.name}_{_safe(name)}{suffix}" for name in task.classes]


def _require_places(cases: Sequence[Case], targets: Sequence[Sequence[Path]]) -> None:
    """Refuse masks that would replace an image or one another."""
    sources = {path.resolve() for case in cases for path in case.images}
    seen: dict[Path, Path] = {}
    for case, paths in zip(cases, targets, strict=True):
        image = case.images[0]
        for path in paths:
            if path.resolve() in sources:
                raise InputError(f"{image}: its mask would replace an input image; choose another --out")
            if path in seen:
                raise InputError(f"{image}: has the stem of {seen[path]}; masks would overwrite each other, rename one")
            seen[path] = image


def _segment(case: Case, runner: Runner, task: SegmentationTask, route: PixelRun | None) -> KeptLabels:
    """Of every plane class indices, or ``[classes, h, w]`` where labels overlap.

    While the network runs, the next plane is decoded and the last one decided, each by a thread of its own.
    """
    kept = KeptLabels()
    with _named(case.images):
        depth = case.depth  # opens its files, before another thread reads them
    with ThreadPoolExecutor(1) as before, ThreadPoolExecutor(1) as after:
        upcoming = before.submit(_prepared, case, 0, task, route)
        finished: Future[None] | None = None
        for index in range(depth):
            plane, given = upcoming.result()
            if index + 1 < depth:
                upcoming = before.submit(_prepared, case, index + 1, task, route)
            finish = _run(plane, given, runner, task, route)
            if finished is not None:
                finished.result()
            finished = after.submit(lambda done=finish: kept.append(done()))  # type: ignore[misc]
        if finished is not None:
            finished.result()
    return kept


def _prepared(
    case: Case, index: int, task: SegmentationTask, route: PixelRun | None
) -> tuple[Plane, NDArray[Any] | None]:
    """A plane, and what the network is given of it; of a plane in tiles, the tiles follow while it runs."""
    with _named(case.images):
        plane = case.plane(index, case.name, task)
    if route is not None:
        return plane, task.resized(plane)
    return plane, None if task.fit == "tile" else task.preprocess(plane)[None]


def _run(
    plane: Plane, given: NDArray[Any] | None, runner: Runner, task: SegmentationTask, route: PixelRun | None
) -> Callable[[], NDArray[np.uint8]]:
    """Run the network; what is returned decides class indices, or a map for each class, at the image's own size."""
    if given is None:
        labels = task.segment(runner.run, plane)
        return lambda: labels
    if route is not None:
        small = route(given)
        return lambda: take_back(small, task.fit, task.size, plane.shape)
    output = runner.run(given)[0]
    return lambda: task.labels(output, plane.shape)


@dataclass(frozen=True)
class _Changed(Sequence[NDArray[np.uint8]]):
    """Planes, each changed when it is asked for."""

    planes: KeptLabels
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.planes)

    def __getitem__(self, index: Any) -> Any:
        return self.change(self.planes[index])


def _masks(case: Case, values: KeptLabels, task: SegmentationTask, form: Form) -> Iterator[Mask]:
    def mask(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], names: Sequence[str]) -> Mask:
        return Mask(_Changed(values, change), tuple(names), case.images[0], case.axis, case.volume)

    classes = [name for _, name in task.foreground]
    apart = holds_classes_apart(case.images[0], case.volume)
    if not task.overlapping:
        picture = len(task.classes) <= 2 and not case.volume and not apart
        yield mask(_brightest if picture else _as_is, classes)
    elif apart:
        yield mask(_as_is, classes)
    elif form.one_file:
        yield mask(_bits, classes)
    else:
        for index, name in enumerate(classes):
            bright = _as_is if case.volume else _brightest
            yield mask(lambda plane, k=index, change=bright: change(plane[k]), [name])  # type: ignore[misc]


def _as_is(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return plane


def _brightest(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """0 and 255, which a viewer shows."""
    return plane * np.uint8(255)


def _bits(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``[classes, h, w]`` as the bits of one value."""
    return (plane << np.arange(len(plane), dtype=np.uint8)[:, None, None]).sum(axis=0).astype(np.uint8)


def _safe(name: str) -> str:
    """A class name as part of a file's."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "class"
