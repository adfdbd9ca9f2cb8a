"""Readers of image files: one file per format behind :class:`~edge.images.readers.stack.Stack`, chosen by one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from edge.errors import InputError
from edge.images.readers.stack import Layout, Stack
from edge.safety.guard import picture_format, require_regular

_HEAD = 352  # bytes: as far as the mark of a NIfTI file
_NIFTI_SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        name: for people.
        suffixes: by which a file is taken for this format where its first bytes do not say.
        starts: whether a file begins like this format.
        image, mask: module and function that open one.
    """

    name: str
    suffixes: tuple[str, ...]
    starts: Callable[[bytes], bool]
    image: tuple[str, str]
    mask: tuple[str, str]


_PILLOW, _TIFF, _DICOM, _NIFTI, _NUMPY = (
    f"edge.images.readers.{name}" for name in ("pillow", "tiff", "dicom", "nifti", "numpy_array")
)
FORMATS = (
    Format(  # first: its preamble may be the start of a TIFF file
        "DICOM",
        (".dcm", ".dicom", ".ima"),
        lambda head: head[128:132] == b"DICM",
        (_DICOM, "open_dicom"),
        ("edge.images.readers.dicom_seg", "open_segmentation"),
    ),
    Format(
        "picture",
        (".png", ".jpg", ".jpeg", ".bmp"),
        lambda head: picture_format(head) in ("PNG", "JPEG", "BMP"),
        (_PILLOW, "open_picture"),
        (_PILLOW, "open_picture_mask"),
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        lambda head: picture_format(head) == "TIFF",
        (_TIFF, "open_tiff"),
        (_TIFF, "open_tiff_mask"),
    ),
    Format(
        "NIfTI",
        _NIFTI_SUFFIXES,
        lambda head: head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] == b"n+2\0",
        (_NIFTI, "open_nifti"),
        (_NIFTI, "open_nifti"),
    ),
    Format(
        "NumPy",
        (".npy", ".npz"),
        lambda head: head.startswith(b"\x93NUMPY"),
        (_NUMPY, "open_numpy"),
        (_NUMPY, "open_numpy"),
    ),
)
FORMATS_OF_ONE = next(row.suffixes for row in FORMATS if row.name == "picture")
SUFFIXES = tuple(suffix for row in FORMATS for suffix in row.suffixes)


def open_image(path: Path, layout: Layout | None = None) -> Stack:
    """Open an image, a volume, or the folder of a DICOM series.

    Raises:
        InputError: missing, damaged, or of no known format.
        MachineError: the format's library is not installed.
    """
    module, function = _dicom_folder(path).image if path.is_dir() else _format(path).image
    return _opened(module, function, path, layout)


def open_mask(path: Path, layout: Layout | None = None) -> Stack:
    """Open a mask: whole numbers, not yet classes.

    Raises:
        InputError, MachineError: as :func:`open_image`.
    """
    module, function = _dicom_folder(path).mask if path.is_dir() else _format(path).mask
    return _opened(module, function, path, layout)


def format_of(path: Path) -> str:
    """The name of a file's format in the table; a folder is a DICOM series.

    Raises:
        InputError: missing, or of no known format.
    """
    return "DICOM" if path.is_dir() else _format(path).name


def stem(path: Path) -> str:
    """A file's name without its suffix, both of ``.nii.gz``."""
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] if suffix and path.name != suffix else path.name


def always_one(path: Path) -> bool:
    """Whether a file's name alone says that it holds one picture and no volume."""
    return path.name.lower().endswith(FORMATS_OF_ONE)


def is_image_name(path: Path) -> bool:
    """Whether a file's name ends like one of the formats."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def _opened(module: str, function: str, path: Path, layout: Layout | None) -> Stack:
    opener: Callable[[Path, Layout], Stack] = getattr(import_module(module), function)
    return opener(path, layout or Layout())


def _format(path: Path) -> Format:
    require_regular(path, "image")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    found = next((row for row in FORMATS if row.starts(head)), None)
    name = path.name.lower()
    found = found or next((row for row in FORMATS if name.endswith(row.suffixes)), None)
    if found is None:
        known = ", ".join(row.name for row in FORMATS)
        raise InputError(f"{path}: is none of the formats that are read ({known}); convert it")
    return found


def _dicom_folder(path: Path) -> Format:
    return next(row for row in FORMATS if row.name == "DICOM")
