"""Masks of pictures: 8-bit grey PNG."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from edge.images.writers.mask import Mask


def write(mask: Mask, destination: Path) -> None:
    """Write the only plane."""
    with destination.open("wb") as stream:
        Image.fromarray(mask.values[0]).save(stream, format="PNG")
