"""Writers of masks: onto the grid of the image they belong to, in the format that its users read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from edge.images.readers import format_of
from edge.images.writers.mask import Mask

# Format of the image, and whether it is a volume, to the writer's module and the suffix of what it writes.
_WRITERS = {
    ("NIfTI", True): ("nifti", ".nii.gz"),
    ("DICOM", True): ("dicom_seg", ".dcm"),
    ("DICOM", False): ("dicom_seg", ".dcm"),
    ("TIFF", True): ("tiff", ".tif"),
    ("NumPy", True): ("tiff", ".tif"),
}
_PICTURE = ("png", ".png")
_ONE_FILE = ("dicom_seg",)  # formats that hold overlapping classes side by side


def suffix_of(path: Path, volume: bool) -> str:
    """How the name of an image's mask ends."""
    return _WRITERS.get((format_of(path), volume), _PICTURE)[1]


def holds_classes_apart(path: Path, volume: bool) -> bool:
    """Whether one file of the mask's format holds overlapping classes."""
    return _WRITERS.get((format_of(path), volume), _PICTURE)[0] in _ONE_FILE


def write_mask(mask: Mask, destination: Path) -> None:
    """Write a mask to the file that is named, whatever its suffix.

    Raises:
        InputError: the image does not say where its slices lie, and the format must.
        MachineError: a library is missing.
    """
    module, _ = _WRITERS.get((format_of(mask.source), mask.volume), _PICTURE)
    write: Callable[[Mask, Path], None] = import_module(f"edge.images.writers.{module}").write
    write(mask, destination)
