"""Segment images with an engine: masks as PNG at each image's own size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.backends.engine import Runner
from edge.errors import InputError, MachineError
from edge.files import replaced_file
from edge.images.pictures import read_image
from edge.images.plane import Plane
from edge.latency.pixels import PixelRun
from edge.task.fit import take_back
from edge.task.task import SegmentationTask


def segment_images(
    runner: Runner,
    task: SegmentationTask,
    images: Sequence[Path],
    out: Path,
    route: PixelRun | None = None,
    advance: Callable[[], object] = lambda: None,
) -> list[Path]:
    """Write one mask an image: 0 and 255 where the task has at most two classes, class indices otherwise.

    Args:
        runner: a loaded engine.
        task: its pre- and post-processing.
        images: any size; stems must differ, since a mask takes its image's stem.
        out: folder for the masks.
        route: from pixels at the network's size to class indices; None for the ordinary one, on the host.
        advance: called after each image.

    Raises:
        InputError: an image that does not decode, or two of one stem.
        MachineError: an image that may not be read, or a mask that cannot be written.
    """
    stems: dict[str, Path] = {}
    for path in images:
        if path.stem in stems:
            raise InputError(
                f"{path}: has the stem of {stems[path.stem]}; masks would overwrite each other, rename one"
            )
        stems[path.stem] = path
    masks = {path: out / f"{path.stem}.png" for path in images}
    sources = {path.resolve() for path in images}
    for path, mask in masks.items():
        if mask.resolve() in sources:
            raise InputError(f"{path}: its mask would replace an input image; choose another --out")
    with ExitStack() as stack:  # masks appear together or, where an image does not decode, not at all
        for path, mask in masks.items():
            labels = _labels(runner, task, _pixels(path), route)
            sibling = stack.enter_context(replaced_file(mask))
            with sibling.open("wb") as stream:
                Image.fromarray(labels * 255 if len(task.classes) <= 2 else labels).save(stream, format="PNG")
            advance()
    return list(masks.values())


def _labels(runner: Runner, task: SegmentationTask, image: Plane, route: PixelRun | None) -> NDArray[np.uint8]:
    """Class indices at the image's own size."""
    if route is None:
        return task.segment(runner.run, image)
    return take_back(route(task.resized(image)), task.fit, task.size, image.shape)


def _pixels(path: Path) -> Plane:
    """Decoded; an image that may not be read is named, since around it a mask is being written."""
    try:
        return read_image(path)
    except PermissionError as error:
        raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
