"""From the network's output to labels: what each pixel is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .task import SegmentationTask

IGNORED = 255
"""What a pixel of a mask holds, in every map, where the task says that it is not counted."""


_WHITE = 255


def cut(activation: str, output: str, maps: int, threshold: float) -> np.float32:
    """The value that a map (or the difference of two softmax maps) must reach to be foreground, float32."""
    if activation == "none":
        return np.float32(threshold)
    if output == "logits":
        return np.float32(math.log(threshold / (1.0 - threshold)))
    # Two probabilities sum to 1: p1 >= t is p1 - p0 >= 2t - 1.
    return np.float32(threshold if maps == 1 else 2.0 * threshold - 1.0)


def decide(output: NDArray[Any], task: SegmentationTask) -> NDArray[np.uint8]:
    """``[maps, rows, columns]`` to ``[rows, columns]`` uint8 class indices, or, where labels overlap, to
    ``[classes, rows, columns]`` of 0 and 1."""
    if task.output == "labels":
        return _indices(output[0], task)
    if task.overlapping:
        cuts = np.array([cut(task.activation, task.output, 1, t) for t in task.every_threshold], np.float32)
        return (output >= cuts[:, None, None]).astype(np.uint8)
    if task.maps == 1:
        return (output[0] >= task.cut).astype(np.uint8)
    if task.maps == 2 and task.activation == "softmax":
        return (output[1] - output[0] >= task.cut).astype(np.uint8)
    return output.argmax(axis=0).astype(np.uint8)


def class_maps(labels: NDArray[np.uint8], task: SegmentationTask) -> Iterator[NDArray[np.bool_]]:
    """For every foreground class, in the task's order, where it is: ``[h, w]`` bool.

    Args:
        labels: ``[h, w]`` class indices, or ``[classes, h, w]`` where labels overlap; decided, or read from a mask.
    """
    if task.overlapping:
        return (plane == 1 for plane in labels)
    return (labels == index for index, _ in task.foreground)


def counted(truth: NDArray[np.uint8], task: SegmentationTask) -> NDArray[np.bool_] | None:
    """Which pixels of a mask are counted, ``[h, w]`` bool; None where all are."""
    if task.ignore is None:
        return None
    return (truth[0] if task.overlapping else truth) != IGNORED


def _indices(indices: NDArray[Any], task: SegmentationTask) -> NDArray[np.uint8]:
    """Class indices that the graph decided itself; any beyond the task's classes is a fault of the task."""
    last = max(len(task.classes) - 1, 1)
    low, high = indices.min(), indices.max()
    if not (low >= 0 and high <= last):
        found = high if high > last else low
        if found == _WHITE:
            raise InputError(
                f"task: the graph returned level {_WHITE}, a mask as a picture rather than class indices (the task "
                f"names {len(task.classes)}); export the map that it decides from, or indices from 0"
            )
        raise InputError(
            f"task: the graph returned class index {found:g}, but the task names {len(task.classes)} classes; name "
            "them all, background first"
        )
    return indices.astype(np.uint8)
