"""One picture as its reader hands it over: the values as stored, and what they are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .statistics import Statistics

DTYPES = ("uint8", "uint16", "int16", "float32")
"""What values may be. A reader widens anything else to the next that holds every value."""


@dataclass(frozen=True)
class Plane:
    """A picture, or one slice of a volume.

    Attributes:
        values: ``[h, w]`` or ``[h, w, channels]`` of one of :data:`DTYPES`, as the file means them (Hounsfield units
            after a DICOM rescale), never squeezed into 8 bits.
        spacing: millimetres from row to row and from column to column; None where the file does not say.
        name: of the sample, for tables.
        source: the file, for messages.
        volume: the volume or patient it belongs to, "" for a picture of its own.
        bits_stored: where the file says that fewer bits are used than the type has (12 of uint16).
        statistics: of its whole volume, where the task asks for ``scope = "volume"``.
        index: which plane of its volume it is.
        thickness: millimetres from plane to plane; None where the file does not say, or they are unevenly spaced.
    """

    values: NDArray[Any]
    spacing: tuple[float, float] | None = None
    name: str = ""
    source: str = ""
    volume: str = ""
    bits_stored: int | None = None
    statistics: Statistics | None = None
    index: int = 0
    thickness: float | None = None

    def __post_init__(self) -> None:
        if self.values.dtype.name not in DTYPES or self.values.ndim not in (2, 3) or 0 in self.values.shape:
            raise InputError(
                f"{self.where}: is {self.values.dtype} {list(self.values.shape)}; an image is [height, width] or "
                f"[height, width, channels] of {', '.join(DTYPES)}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def channels(self) -> int:
        """How many values a pixel has."""
        return self.values.shape[2] if self.values.ndim == 3 else 1

    @property
    def where(self) -> str:
        """The file, or the sample's name, for messages."""
        return self.source or self.name or "the image"

    @property
    def holds(self) -> str:
        """What the values are, for messages: ``uint16, 0…3071, 12 bits stored``."""
        low, high = self.values.min(), self.values.max()
        said = [self.values.dtype.name, f"{low:g}…{high:g}"]
        if self.channels not in (1, 3):
            said.insert(0, f"{self.channels} channels")
        if self.bits_stored is not None and self.bits_stored != 8 * self.values.dtype.itemsize:
            said.append(f"{self.bits_stored} bits stored")
        return ", ".join(said)


def as_plane(image: Plane | NDArray[Any]) -> Plane:
    """The plane itself, or one around an array."""
    return image if isinstance(image, Plane) else Plane(np.asarray(image))
