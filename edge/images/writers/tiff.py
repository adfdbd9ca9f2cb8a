"""Masks of stacks: TIFF of 8 bits, one page for each plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from edge.images.writers.mask import Mask


def write(mask: Mask, destination: Path) -> None:
    """Write all planes."""
    tifffile.imwrite(destination, np.stack(list(mask.values)), photometric="minisblack", compression="zlib")
