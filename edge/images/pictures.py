"""Picture files: decoded to pixels, or to the class indices of a mask."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edge.errors import InputError
from edge.task.task import SegmentationTask

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image to ``[h, w]`` grey or ``[h, w, 3]`` RGB, uint8.

    A photograph is turned upright by its EXIF orientation, as viewers show it; 16-bit grey is divided by 257 and
    rounded; alpha is dropped; palettes are expanded.

    Raises:
        InputError: the file is missing or does not decode.
    """
    image = _decode(path)
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise InputError(f"{path}: pixel values do not fit 16 bits; convert it to 8- or 16-bit grey")
        return np.asarray((values + 128) // 257, dtype=np.uint8)
    if image.mode == "F":
        raise InputError(f"{path}: floating-point pixels have no fixed range; convert it to 8- or 16-bit")
    if image.mode == "LA":
        return np.asarray(image.getchannel("L"), dtype=np.uint8)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"), dtype=np.uint8)
    if image.mode in ("RGBA", "RGBX"):
        return np.asarray(image, dtype=np.uint8)[..., :3].copy()
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def read_mask(path: Path, task: SegmentationTask) -> NDArray[np.uint8]:
    """Decode a mask to ``[h, w]`` uint8 class indices.

    With at most two classes: 0 is background, any other single value is foreground. With more: class indices.
    Palettes are read as indices, not colours; alpha is dropped.

    Raises:
        InputError: the file does not decode, or has more levels than the task has classes.
    """
    values = _mask_values(path)
    levels = np.unique(values)
    if len(task.classes) <= 2:
        if len(levels[levels != 0]) > 1:
            raise InputError(
                f"{path}: {len(levels)} grey levels in the mask of a two-level task; make it 0 and one other value"
            )
        return np.asarray(values != 0, dtype=np.uint8)
    if int(levels.max(initial=0)) >= len(task.classes) or int(levels.min(initial=0)) < 0:
        raise InputError(
            f"{path}: class index {int(levels.max())} in the mask, but the task names {len(task.classes)} classes; "
            "store class indices from 0"
        )
    return np.asarray(values, dtype=np.uint8)


def _mask_values(path: Path) -> NDArray[np.int64]:
    """``[h, w]`` integers; a colour that is not grey counts as one 24-bit level."""
    image = _decode(path)
    if image.mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N"):
        return np.asarray(image.convert("L") if image.mode == "1" else image).astype(np.int64)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[..., 0].astype(np.int64)
    if image.mode in ("RGB", "RGBA", "RGBX"):
        red, green, blue = (np.asarray(image)[..., c].astype(np.int64) for c in range(3))
        grey = (red == green).all() and (green == blue).all()
        return red if grey else (red << 16) + (green << 8) + blue
    raise InputError(f"{path}: a mask cannot be stored as {image.mode}; save it as 8-bit grey PNG")


def _decode(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd tags; what matters is an error
            return _first_picture(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; check the path") from None
    except (InputError, PermissionError):
        raise
    except Exception as error:  # decoders of damaged files raise errors of many kinds
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{path}: does not decode as an image ({reason}); replace or remove it") from None


def _first_picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        # MPO is a photograph with its preview; anything else of several pictures is a stack or an animation.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames > 1:
            raise InputError(f"{path}: holds {frames} pictures; save each in its own file")
        image.load()
        return ImageOps.exif_transpose(image)
