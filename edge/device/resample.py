"""Resampling of 8-bit images in numpy, to the bit as Pillow does it: separable, horizontal pass first, each pass
rounded back to uint8, weights of 22 fractional bits normalised in double precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Callable, Mapping

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 22


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _cubic(x: float) -> float:
    """Keys' cubic with a = -0.5."""
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 if x < 2.0 else 0.0


_KERNELS: Mapping[str, tuple[Callable[[float], float], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "area": (_box, 0.5),
}


def resize(pixels: NDArray[np.uint8], size: tuple[int, int], kernel: str) -> NDArray[np.uint8]:
    """Resize ``[h, w, c]`` uint8 to ``[*size, c]``.

    Args:
        kernel: bilinear, bicubic, area or nearest.
    """
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    if kernel == "nearest":
        rows, columns = (
            ((2 * np.arange(out, dtype=np.int64) + 1) * length) // (2 * out) for out, length in zip(size, pixels.shape)
        )
        picked: NDArray[np.uint8] = pixels[rows[:, None], columns[None, :]]
        return picked
    if pixels.shape[1] != width:
        pixels = _pass(pixels.swapaxes(0, 1), width, kernel).swapaxes(0, 1)
    if pixels.shape[0] != height:
        pixels = _pass(pixels, height, kernel)
    return pixels


def _pass(pixels: NDArray[np.uint8], out: int, kernel: str) -> NDArray[np.uint8]:
    """Resample the first axis."""
    result = np.empty((out, *pixels.shape[1:]), np.uint8)
    source = pixels.astype(np.int64)
    for row, (first, weights) in enumerate(_weights(pixels.shape[0], out, kernel)):
        total = np.tensordot(weights, source[first : first + len(weights)], axes=1) + (1 << (_BITS - 1))
        result[row] = (total >> _BITS).clip(0, 255)
    return result


def _weights(length: int, out: int, kernel: str) -> list[tuple[int, NDArray[np.int64]]]:
    """For each output row its first source row and the integer weights from there."""
    shape, support = _KERNELS[kernel]
    ratio = length / out
    scale = max(ratio, 1.0)
    reach = support * scale
    rows = []
    for index in range(out):
        centre = (index + 0.5) * ratio
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), length)
        raw = [shape((x + first - centre + 0.5) * (1.0 / scale)) for x in range(last - first)]
        total = sum(raw)
        exact = [w * (1.0 / total) if total else w for w in raw]
        fixed = [math.floor(abs(w) * (1 << _BITS) + 0.5) * (1 if w >= 0 else -1) for w in exact]
        rows.append((first, np.array(fixed, np.int64)))
    return rows
