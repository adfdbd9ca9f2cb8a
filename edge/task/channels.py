"""The channels of an image that a network takes, in its order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Tuple, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDERS = ("rgb", "bgr", "grey")
_DEPTH = re.compile(r"z(?:([+-])(\d+))?")

Channels = Union[str, Tuple[Union[str, int], ...]]


def depths(channels: Channels) -> tuple[int, ...] | None:
    """For slices of a volume (``z-1``, ``z``, ``z+1``) their distance from the one at hand; None for anything else."""
    if isinstance(channels, str):
        return None
    found = [_DEPTH.fullmatch(name) if isinstance(name, str) else None for name in channels]
    if not all(found):
        return None
    return tuple(int(f"{match[1]}{match[2]}") if match[1] else 0 for match in found if match)


def expected(channels: Channels) -> tuple[int, ...]:
    """How many channels an image may have; empty: any number above the largest that is picked."""
    if isinstance(channels, str):
        return (1, 3)
    return () if any(isinstance(name, int) for name in channels) else (len(channels),)


def take(values: NDArray[Any], channels: Channels) -> NDArray[Any]:
    """``[h, w]`` or ``[h, w, c]`` of any type to ``[h, w, channels]`` of the same; the image has the channels."""
    array = values if values.ndim == 3 else values[..., None]
    if not isinstance(channels, str):
        picked = [name for name in channels if isinstance(name, int)]
        return array[..., picked] if picked else array
    if channels == "grey":
        return _luma(array) if array.shape[2] == 3 else array
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return array[..., ::-1] if channels == "bgr" else array


def _luma(colours: NDArray[Any]) -> NDArray[Any]:
    """ITU-R 601 in integers; ``[h, w, 3]`` of an integer type to ``[h, w, 1]``."""
    wide: Any = np.int64 if colours.dtype == np.int16 else np.uint32
    red, green, blue = (colours[..., c].astype(wide) for c in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(colours.dtype)[..., None]
