"""Resampling, to the bit: of 8-bit levels as Pillow does it, of float32 values, and by nearest neighbour.

Separable, horizontal pass first, each pass rounded back to the type it came in. Kernels widen with the downscaling
factor (no aliasing). Weights are normalised in double precision; for 8-bit levels they are then rounded to integers of
22 fractional bits, for float32 they stay double, products are added up in double from the first source pixel to the
last, and the sum is rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Mapping

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


def resize(values: NDArray[Any], size: tuple[int, int], kernel: str) -> NDArray[Any]:
    """Resize ``[h, w, c]`` uint8 or float32 to ``[*size, c]`` of the same type.

    Args:
        kernel: bilinear, bicubic, area or nearest.
    """
    if values.shape[:2] == tuple(size):
        return values
    if kernel == "nearest":
        return nearest(values, size)
    if values.dtype == np.uint8:
        return _resize_levels(values, size, kernel)
    if values.shape[1] != size[1]:
        values = _float_pass(values, size[1], kernel, axis=1)
    return values if values.shape[0] == size[0] else _float_pass(values, size[0], kernel, axis=0)


def nearest(array: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Nearest-neighbour resize of the first two axes: source index ``floor((i + 0.5) * in / out)``, in integers."""
    if array.shape[:2] == tuple(shape):
        return array
    rows, columns = (nearest_indices(length, out) for length, out in zip(array.shape, shape))
    return array[rows[:, None], columns[None, :]]


def nearest_indices(length: int, out: int) -> NDArray[np.int64]:
    """For each of ``out`` places its nearest of ``length``."""
    return ((2 * np.arange(out, dtype=np.int64) + 1) * length) // (2 * out)


def _both_ways(
    values: NDArray[Any], size: tuple[int, int], one_pass: Callable[[NDArray[Any], int], NDArray[Any]]
) -> NDArray[Any]:
    """Columns, then rows; ``one_pass`` resamples the first axis."""
    height, width = size
    if values.shape[1] != width:
        values = one_pass(values.swapaxes(0, 1), width).swapaxes(0, 1)
    return values if values.shape[0] == height else one_pass(values, height)


def _resize_levels(values: NDArray[np.uint8], size: tuple[int, int], kernel: str) -> NDArray[np.uint8]:
    """By Pillow where it is installed, which is many times faster, else in numpy; both give the same levels."""
    try:
        from PIL import Image
    except ImportError:
        return _both_ways(values, size, lambda array, out: _level_pass(array, out, kernel))
    height, width = size
    filters: Any = getattr(Image, "Resampling", Image)  # before Pillow 9.1 they are the module's own
    named = {"bilinear": filters.BILINEAR, "bicubic": filters.BICUBIC, "area": filters.BOX}
    step = 3 if values.shape[2] == 3 else 1
    parts = []
    for first in range(0, values.shape[2], step):
        part = np.ascontiguousarray(values[..., first : first + step])
        image = Image.fromarray(part if step == 3 else part[..., 0])
        # One pass per call: Pillow 13 may run the vertical pass first by itself, which rounds otherwise.
        image = image.resize((width, image.height), named[kernel]).resize((width, height), named[kernel])
        parts.append(np.asarray(image, dtype=np.uint8).reshape(height, width, step))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _level_pass(values: NDArray[np.uint8], out: int, kernel: str) -> NDArray[np.uint8]:
    """Resample the first axis in integers."""
    result = np.empty((out, *values.shape[1:]), np.uint8)
    source = values.astype(np.int64)
    for row, (first, weights) in enumerate(_weights(values.shape[0], out, kernel)):
        fixed = [math.floor(abs(w) * (1 << _BITS) + 0.5) * (1 if w >= 0 else -1) for w in weights]
        total = np.tensordot(np.array(fixed, np.int64), source[first : first + len(fixed)], axes=1) + (1 << (_BITS - 1))
        result[row] = (total >> _BITS).clip(0, 255)
    return result


def _float_pass(values: NDArray[np.float32], out: int, kernel: str, axis: int) -> NDArray[np.float32]:
    """Resample one of the first two axes in double precision, a tap of all kernels at a time; rounded to float32."""
    length = values.shape[axis]
    rows = _weights(length, out, kernel)
    firsts = np.array([first for first, _ in rows])
    weights = np.zeros((max(len(taps) for _, taps in rows), out), np.float64)
    for index, (_, taps) in enumerate(rows):
        weights[: len(taps), index] = taps
    shape = [1] * values.ndim
    shape[axis] = out
    total: Any = 0.0
    for offset, tap in enumerate(weights):  # a place beyond a kernel weighs 0, which adds nothing to a finite value
        total = total + tap.reshape(shape) * values.take(np.minimum(firsts + offset, length - 1), axis=axis)
    return np.asarray(total, np.float32)


def _weights(length: int, out: int, kernel: str) -> list[tuple[int, list[float]]]:
    """For each output row its first source row and the weights from there; they add up to 1."""
    shape, support = _KERNELS[kernel]
    ratio = length / out
    scale = max(ratio, 1.0)
    reach = support * scale
    inverse = 1.0 / scale
    rows = []
    for index in range(out):
        centre = (index + 0.5) * ratio
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), length)
        raw = [shape((x + first - centre + 0.5) * inverse) for x in range(last - first)]
        total = 0.0
        for weight in raw:
            total += weight
        rows.append((first, [w / total if total else w for w in raw]))
    return rows
