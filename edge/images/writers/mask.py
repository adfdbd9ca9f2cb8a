"""A mask to be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mask:
    """What an engine made of one image.

    Attributes:
        values: ``[planes, h, w]`` uint8 as the planes are shown; ``[classes, planes, h, w]`` of 0 and 1 where a format
            keeps overlapping classes apart.
        names: of the classes: of every value from 1, or of the maps.
        source: the image, or the folder of its series.
        axis: which way its planes were looked at.
        volume: whether it is a volume.
    """

    values: NDArray[np.uint8]
    names: tuple[str, ...]
    source: Path
    axis: str | None
    volume: bool
