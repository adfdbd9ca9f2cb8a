"""Stacks: what a reader makes of one image file, or of a folder of one series, decoded plane by plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.grid import Grid


def _nothing() -> None:
    """Closes what holds no file."""


@dataclass(frozen=True)
class Layout:
    """What a manifest says of a file that the file does not say itself.

    Attributes:
        axis: axial, coronal or sagittal; None leaves it to :func:`edge.images.grid.choose_view`.
        axes: the axes of a NumPy array: hw, chw, hwc, dhw, dchw; None where none is needed.
    """

    axis: str | None = None
    axes: str | None = None


@dataclass(frozen=True)
class Pixels:
    """One decoded plane.

    Attributes:
        values: ``[h, w]`` or ``[h, w, channels]``, of a type of :data:`edge.task.plane.DTYPES`.
        bits_stored: where the file says that it uses fewer bits than the type has.
        turned: the EXIF orientation it was turned upright by; 1 is as stored.
        palette: of a mask with one, the colour (24 bits, red first) of each value.
        coloured: of a mask without one, whether its values are colours (24 bits, red first) rather than levels.
    """

    values: NDArray[Any]
    bits_stored: int | None = None
    turned: int = 1
    palette: tuple[int, ...] | None = None
    coloured: bool = False


@dataclass(frozen=True)
class Stack:
    """An opened file. Nothing is decoded before a plane is asked for, and no more than that plane is held.

    Attributes:
        path: the file, or the folder of the series.
        depth: number of planes; 1 for a picture.
        read: decodes one plane; raises InputError where the file does not decode.
        volume: whether it is a volume, whose planes are samples of their own.
        grid: where its pixels lie in the patient; None where the file does not say.
        axis: which way its planes are looked at: axial, coronal or sagittal; None where it has no grid.
        notes: what the user should know of it, one sentence each, without the file's name.
        segments: number and label of what each channel of a plane marks, for a mask that says so; else empty.
        close: lets go of the file.
    """

    path: Path
    depth: int
    read: Callable[[int], Pixels]
    volume: bool = False
    grid: Grid | None = None
    axis: str | None = None
    notes: tuple[str, ...] = ()
    segments: tuple[tuple[int, str], ...] = ()
    close: Callable[[], None] = _nothing


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before refusals that lack it."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path}: {error}") from None


def settled(values: NDArray[Any]) -> NDArray[Any]:
    """Values in a type that a plane may have, none of them changed.

    Whole numbers of 32 bits or more become int16, uint16 or float32, whichever is the first to hold them all; float64
    is rounded to float32, as images of that type carry no more.

    Raises:
        InputError: not real numbers, not finite, or whole numbers that float32 does not hold; without the file's name.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b" or (kind == "u" and size == 1):
        return values.astype(np.uint8, copy=False)
    if kind in "iu":
        return _settled_integers(values, kind, size)
    if kind != "f":
        raise InputError(f"holds {values.dtype} values, which no network is given; store real numbers")
    narrow: NDArray[Any] = values.astype(np.float32, copy=False)
    if not np.isfinite(narrow).all():
        raise InputError("holds NaN or infinity; replace them, for instance by the value of the background")
    return narrow


def rescaled(values: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """``slope * values + intercept``, whole numbers where all three are, in a type that a plane may have.

    Raises:
        InputError: as :func:`settled`.
    """
    if (slope, intercept) == (1.0, 0.0):
        return settled(values)
    whole = values.dtype.kind in "iub" and float(slope).is_integer() and float(intercept).is_integer()
    if whole and max(abs(slope), abs(intercept)) < 2**31:
        return settled(values.astype(np.int64) * int(slope) + int(intercept))
    return settled(values.astype(np.float64) * slope + intercept)


def whole_numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    """A mask's values as integers.

    Raises:
        InputError: some are not whole; without the file's name.
    """
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and (whole != values).any():
        raise InputError("holds values that are not whole numbers, so it is no mask; store class indices")
    return whole


def _settled_integers(values: NDArray[Any], kind: str, size: int) -> NDArray[Any]:
    if size == 2:
        return values.astype(np.int16 if kind == "i" else np.uint16, copy=False)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for dtype in (np.int16, np.uint16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    if max(-low, high) <= 2**24:
        return values.astype(np.float32)
    raise InputError(f"holds whole numbers from {low} to {high}, which float32 does not hold; scale them down")
