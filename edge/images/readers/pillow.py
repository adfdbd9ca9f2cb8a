"""Pictures by Pillow: PNG, JPEG, BMP and the TIFF files of 8 bits, with no other decoder allowed to look at them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edge.errors import InputError
from edge.images.readers.stack import Layout, Pixels, Stack, naming, settled
from edge.safety.guard import own_pixel_limit, parsing, require_picture, require_pixels

REMEDY = "replace or remove it"
_FORMATS = {"JPEG": ("JPEG", "MPO")}  # a photograph with its preview: the first picture is the photograph
_ORIENTATION = 0x0112
_COLOURS = ("RGB", "RGBA", "RGBX")
_WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def open_picture(path: Path, layout: Layout) -> Stack:
    """Open an image: ``[h, w]`` or ``[h, w, 3]`` as decoded, palettes expanded, alpha dropped, upright by its EXIF.

    Raises:
        InputError: damaged, of a format not named here, too many pixels, or 16 bits a colour, which Pillow would cut.
    """
    return _stack(path, _picture)


def open_picture_mask(path: Path, layout: Layout) -> Stack:
    """Open a mask: ``[h, w]`` whole numbers as stored. A colour that is not grey counts as one 24-bit number.

    Raises:
        InputError: as :func:`open_picture`, or stored in a way that no mask is.
    """
    return _stack(path, _levels)


def decode(path: Path, frame: int = 0) -> Image.Image:
    """One decoded picture of a file, not turned.

    Raises:
        InputError: see :func:`open_picture`.
    """
    kind = require_picture(path)
    with parsing(path, "an image that decodes", REMEDY, Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd tags; what matters is an error
        with _opened(path, kind) as image:
            with own_pixel_limit(Image):
                image.seek(frame)
            require_pixels(path, *image.size)
            raw = _raw_mode(image)
            image.load()
            if "16" in raw and image.mode not in _WIDE:
                raise InputError(
                    f"{path}: holds 16 bits a colour ({raw.partition(';')[0]}), which would be cut to 8; "
                    "save it as TIFF or NumPy array"
                )
            return image


def frames(path: Path) -> int:
    """How many pictures a file holds.

    Raises:
        InputError: it does not open.
    """
    kind = require_picture(path)
    with parsing(path, "an image that decodes", REMEDY, Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _opened(path, kind) as image:
            return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _opened(path: Path, kind: str) -> Image.Image:
    with own_pixel_limit(Image):
        return Image.open(path, formats=_FORMATS.get(kind, (kind,)))


def image_values(image: Image.Image) -> NDArray[Any]:
    """``[h, w]`` or ``[h, w, 3]`` of a decoded picture, no value changed."""
    if image.mode in _WIDE:
        return settled(np.asarray(image))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.mode == "LA":
        return np.asarray(image.getchannel("L"))
    if image.mode in ("RGBA", "RGBX"):
        return np.asarray(image)[..., :3].copy()
    return np.asarray(image.convert("RGB"))


def mask_values(image: Image.Image) -> NDArray[np.int64]:
    """``[h, w]`` whole numbers of a decoded mask.

    Raises:
        InputError: of a kind that is no mask; without the file's name.
    """
    if image.mode in ("1", "L", "P") or (image.mode in _WIDE and image.mode != "F"):
        return np.asarray(image.convert("L") if image.mode == "1" else image).astype(np.int64)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[..., 0].astype(np.int64)
    if image.mode in _COLOURS:
        return as_levels(np.asarray(image))
    raise InputError(f"a mask cannot be stored as {image.mode}; save it as 8-bit grey PNG")


def as_levels(colours: NDArray[Any]) -> NDArray[np.int64]:
    """``[h, w, 3 or more]`` colours as whole numbers: the grey level where all are grey, else 24 bits, red first."""
    red, green, blue = (colours[..., channel].astype(np.int64) for channel in range(3))
    return (red << 16) + (green << 8) + blue if are_coloured(colours) else red


def are_coloured(colours: NDArray[Any]) -> bool:
    """Whether any pixel of ``[h, w, 3 or more]`` colours is not grey."""
    red, green, blue = (colours[..., channel] for channel in range(3))
    return not ((red == green).all() and (green == blue).all())


def _stack(path: Path, read: Any) -> Stack:
    count = frames(path)
    if count > 1:
        raise InputError(f"{path}: holds {count} pictures; save each in its own file")
    return Stack(path, 1, lambda _: read(path))


def _picture(path: Path) -> Pixels:
    image, turned = _upright(decode(path))
    with naming(path):
        return Pixels(image_values(image), turned=turned)


def _levels(path: Path) -> Pixels:
    image, turned = _upright(decode(path))
    palette = _palette(image) if image.mode in ("P", "PA") else None
    coloured = image.mode in _COLOURS and are_coloured(np.asarray(image))
    with naming(path):
        return Pixels(mask_values(image), turned=turned, palette=palette, coloured=coloured)


def _upright(image: Image.Image) -> tuple[Image.Image, int]:
    """As viewers show a photograph, and the EXIF orientation that says so."""
    turned = image.getexif().get(_ORIENTATION, 1)
    return ImageOps.exif_transpose(image), turned if turned in range(1, 9) else 1


def _palette(image: Image.Image) -> tuple[int, ...]:
    colours = image.getpalette("RGB") or []
    return tuple((r << 16) + (g << 8) + b for r, g, b in zip(colours[::3], colours[1::3], colours[2::3], strict=False))


def _raw_mode(image: Image.Image) -> str:
    """How the file stores a pixel, as Pillow's decoders are told (``RGB;16B``)."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else ""
