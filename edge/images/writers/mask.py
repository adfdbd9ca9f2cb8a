"""A mask to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mask:
    """What an engine made of one image.

    Attributes:
        values: a plane after the other as they are shown: ``[h, w]`` uint8, or ``[classes, h, w]`` of 0 and 1 where a
            format keeps overlapping classes apart. They need not all be in memory.
        names: of the classes: of every value from 1, or of the maps.
        source: the image, or the folder of its series.
        axis: which way its planes were looked at.
        volume: whether it is a volume.
    """

    values: Sequence[NDArray[np.uint8]]
    names: tuple[str, ...]
    source: Path
    axis: str | None
    volume: bool
