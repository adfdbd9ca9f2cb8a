"""One image file by itself, outside any set: what ``edge segment`` is given, and what is timed."""

from __future__ import annotations

from pathlib import Path

from edge.errors import InputError
from edge.images.readers import open_image
from edge.task.plane import Plane


def read_image(path: Path) -> Plane:
    """Decode a picture: ``[h, w]`` or ``[h, w, channels]``, its values as the file means them.

    A photograph is turned upright by its EXIF orientation, as viewers show it; alpha is dropped; palettes are expanded.

    Raises:
        InputError: the file is missing, does not decode, or is a volume.
    """
    stack = open_image(path)
    try:
        if stack.volume:
            raise InputError(
                f"{path}: is a volume of {stack.depth} slices where one picture is asked for; name a picture"
            )
        pixels = stack.read(0)
        spacing = stack.grid.spacing if stack.grid is not None else None
        return Plane(pixels.values, spacing, path.name, str(path), bits_stored=pixels.bits_stored)
    finally:
        stack.close()
