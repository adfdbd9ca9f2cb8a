"""Run an engine, or a model, over an image set and keep what scores and comparisons need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..files import replaced_file
from .counts import Counts, count, stack
from .distance import surfaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..images.image_set import ImageSet
    from ..task.task import SegmentationTask
    from .counts import Labels
    from .distance import Surfaces

    Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Evaluation:
    """What one engine (or the reference) made of an image set, image by image.

    Attributes:
        task: pre- and post-processing that was used.
        names: image names.
        counts: ``[images, classes]`` at the images' own sizes.
        outputs: ``[images, maps, height, width]`` float32, as the graph returned them; of a tiled image, of the tile in
            its middle.
        labels, truth: at each image's own size: ``[h, w]`` uint8 class indices, or ``[classes, h, w]`` where labels
            overlap.
        columns: every further column of the manifest, one value per image ("" where a row has none).
        spacings: millimetres from row to row and from column to column, per image; None where its file does not say.
    """

    task: SegmentationTask
    names: tuple[str, ...]
    counts: Counts
    outputs: NDArray[np.float32]
    labels: tuple[Labels, ...]
    truth: tuple[Labels, ...]
    columns: Mapping[str, tuple[str, ...]]
    spacings: tuple[tuple[float, float] | None, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def surfaces(self) -> Surfaces | None:
        """HD95 and surface Dice of every image and foreground class; kept.

        None where SciPy is not installed, as on most boards.
        """
        try:
            return surfaces(self.labels, self.truth, self.task, self.spacings)
        except ImportError:
            return None

    def save_outputs(self, path: Path) -> None:
        """Write ``names`` and ``outputs`` as a compressed ``.npz``."""
        with replaced_file(path) as sibling, sibling.open("wb") as stream:
            np.savez_compressed(stream, names=np.array(self.names), outputs=self.outputs)


def evaluate(
    run: Run, images: ImageSet, task: SegmentationTask, advance: Callable[[], object] | None = None
) -> Evaluation:
    """Decode, preprocess, run (batch 1), postprocess and count every image.

    Args:
        run: ``[1, channels, height, width]`` float32 to ``[1, maps, height, width]`` float32.
        images: with masks.
        task: owns pre- and post-processing.
        advance: called after each image (progress).

    Raises:
        InputError: an image or mask that does not decode or fit, or an output of another shape than the task's.
    """
    if not len(images):
        raise InputError(f"{images.root}: no images to score; add some to this split")
    outputs: NDArray[np.float32] | None = None
    counts: list[Counts] = []
    labels: list[Labels] = []
    truths: list[Labels] = []
    spacings: list[tuple[float, float] | None] = []
    for index, sample in enumerate(images):
        plane, truth = sample.pair(task)
        output = run(task.preprocess(plane)[None])
        if output.ndim != 4 or output.shape[:2] != (1, task.maps):
            shape = "x".join(map(str, output.shape))
            raise InputError(
                f"{sample.image}: the network returned {shape} for a task of {task.maps} classes; correct the task"
            )
        if outputs is None:
            outputs = np.empty((len(images), *output.shape[1:]), np.float32)
        outputs[index] = output[0]
        labels.append(task.segment(run, plane) if task.fit == "tile" else task.labels(output[0], plane.shape))
        truths.append(truth)
        spacings.append(plane.spacing)
        counts.append(count(labels[-1], truth, task))
        if advance is not None:
            advance()
    assert outputs is not None
    names = tuple(sample.name for sample in images)
    return Evaluation(
        task, names, stack(counts), outputs, tuple(labels), tuple(truths), _columns(images), tuple(spacings)
    )


def evaluation_of(
    outputs: NDArray[np.float32],
    truth: Sequence[Labels],
    task: SegmentationTask,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
) -> Evaluation:
    """The evaluation of outputs that are already there.

    Args:
        outputs: ``[images, maps, height, width]``.
        truth: ``[h, w]`` uint8 class indices at each image's own size.
        task: decides what the outputs mean.
        names: of the images.
        columns: column of the manifest to one value per image.
    """
    labels = tuple(task.labels(output, (t.shape[-2], t.shape[-1])) for output, t in zip(outputs, truth))
    counts = stack(count(ours, t, task) for ours, t in zip(labels, truth))
    values = {name: tuple(column) for name, column in columns.items()}
    return Evaluation(task, tuple(names), counts, outputs, labels, tuple(truth), values)


def _columns(images: ImageSet) -> dict[str, tuple[str, ...]]:
    keys = {key for sample in images for key in sample.columns}
    return {key: tuple(sample.columns.get(key) or "" for sample in images) for key in sorted(keys)}
