"""Where on an image the network looks, and how what it says returns there.

::

    stretch     the whole image, stretched to the network's size
    letterbox   the whole image, its aspect kept, in the middle of the network's size; the rest is padding
    crop        the middle of the image at its own scale; where it is smaller, padding around it
    tile        the whole image at its own scale, tile by tile (:mod:`.tiles`)

All of it is integers: the letterbox's shorter side is ``floor(length * side / longest + 0.5)``, at least 1; of an odd
number of pixels to pad or to leave out, the smaller half comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from .resample import nearest, nearest_indices, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

FITS = ("stretch", "letterbox", "crop", "tile")


@dataclass(frozen=True)
class Placement:
    """A rectangle of the image and where it lies in the network's input.

    Attributes:
        top, left, height, width: the rectangle, in the image's pixels.
        rows, columns: what it is resized to.
        down, right: where its first pixel comes to lie.
    """

    top: int
    left: int
    height: int
    width: int
    rows: int
    columns: int
    down: int = 0
    right: int = 0


def place(fit: str, shape: tuple[int, int], size: tuple[int, int]) -> Placement:
    """Where an image of ``shape`` comes to lie in a network's input of ``size``; ``fit`` is not tile."""
    (height, width), (rows, columns) = shape, size
    if fit == "stretch":
        return Placement(0, 0, height, width, rows, columns)
    if fit == "letterbox":
        if columns * height <= rows * width:
            inner = (max((2 * height * columns + width) // (2 * width), 1), columns)
        else:
            inner = (rows, max((2 * width * rows + height) // (2 * height), 1))
        return Placement(0, 0, height, width, *inner, (rows - inner[0]) // 2, (columns - inner[1]) // 2)
    (top, tall, down), (left, wide, right) = (_middle(*pair) for pair in zip(shape, size))
    return Placement(top, left, tall, wide, tall, wide, down, right)


def put(
    values: NDArray[Any],
    placement: Placement,
    size: tuple[int, int],
    kernel: str,
    padding: Callable[[NDArray[Any]], float],
) -> NDArray[Any]:
    """``[h, w, c]`` to ``[*size, c]`` of the same type: cut out, resize, pad.

    Args:
        padding: the value around what was resized, given that.
    """
    p = placement
    part = resize(values[p.top : p.top + p.height, p.left : p.left + p.width], (p.rows, p.columns), kernel)
    if part.shape[:2] == tuple(size):
        return part
    whole = np.full((*size, values.shape[2]), padding(part), values.dtype)
    whole[p.down : p.down + p.rows, p.right : p.right + p.columns] = part
    return whole


def take_back(labels: NDArray[Any], fit: str, size: tuple[int, int], shape: tuple[int, int]) -> NDArray[Any]:
    """Decided labels, or probabilities, back onto the image, by nearest neighbour; what the network never saw is 0.

    Args:
        labels: ``[rows, columns]`` or ``[rows, columns, classes]``, at the network's own output size.
        size: of the network's input.
        shape: of the image.
    """
    if fit == "stretch":
        return nearest(labels, shape)
    p = place(fit, shape, size)
    rows = _of_output(nearest_indices(p.rows, p.height) + p.down, size[0], labels.shape[0])
    columns = _of_output(nearest_indices(p.columns, p.width) + p.right, size[1], labels.shape[1])
    whole = np.zeros((*shape, *labels.shape[2:]), labels.dtype)
    whole[p.top : p.top + p.height, p.left : p.left + p.width] = labels[rows[:, None], columns[None, :]]
    return whole


def _of_output(indices: NDArray[np.int64], side: int, out: int) -> NDArray[np.int64]:
    """Rows of the network's input as rows of an output that may be smaller."""
    return indices if side == out else nearest_indices(out, side)[indices]


def _middle(length: int, side: int) -> tuple[int, int, int]:
    """First pixel, how many, and their place: the middle of ``length`` pixels on a side."""
    if length >= side:
        return (length - side) // 2, side, 0
    return 0, length, (side - length) // 2
