"""DICOM segmentations as masks, by highdicom: one channel a segment, planes where the image's planes lie."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import InputError
from edge.images.grid import choose_view
from edge.images.readers.extra import medical
from edge.images.readers.stack import Layout, Pixels, Stack, naming
from edge.safety.guard import parsing

_REMEDY = "export it again"


def open_segmentation(path: Path, layout: Layout) -> Stack:
    """Open a DICOM-SEG; a plane is ``[h, w, segments]`` of 0 and 1, and the grid holds only the slices it speaks of.

    Raises:
        InputError: damaged, no segmentation, fractional, or without a place in the patient.
        MachineError: highdicom is not installed.
    """
    highdicom = medical("highdicom", path)
    with naming(path), warnings.catch_warnings(), parsing(path, "a sound DICOM segmentation", _REMEDY, Exception):
        warnings.simplefilter("ignore")
        segmentation = highdicom.seg.segread(path)
        if segmentation.segmentation_type.value == "FRACTIONAL":
            raise InputError("holds fractions and no mask; save it as a binary segmentation")
        numbers = list(segmentation.segment_numbers)
        labels = tuple((n, str(segmentation.get_segment_description(n).segment_label)) for n in numbers)
        geometry = segmentation.get_volume_geometry(allow_missing_positions=True)
        if geometry is None:
            raise InputError("does not place its slices evenly in the patient; export it with the series it belongs to")
        affine = np.asarray(geometry.affine, np.float64)
        depth, rows, columns = (int(side) for side in geometry.spatial_shape)
        view = choose_view(affine, (depth, rows, columns), layout.axis)
        grid = view.grid(affine, (depth, rows, columns))

    def read(plane: int) -> Pixels:
        with naming(path), warnings.catch_warnings(), parsing(path, "a sound DICOM segmentation", _REMEDY, Exception):
            warnings.simplefilter("ignore")
            index = view.stored_index(plane, grid.shape[0])
            return Pixels(np.ascontiguousarray(view.show(_cut(segmentation, view.order[0], index, numbers))))

    return Stack(path, grid.shape[0], read, volume=depth > 1, grid=grid, axis=view.axis, segments=labels)


def _cut(segmentation: Any, axis: int, index: int, numbers: list[int]) -> Any:
    """``[two stored axes, segments]`` uint8."""
    name = ("slice", "row", "column")[axis]
    span = {f"{name}_start": index, f"{name}_end": index + 1}
    volume = segmentation.get_volume(
        **span,
        as_indices=True,
        segment_numbers=numbers,
        combine_segments=False,
        dtype=np.uint8,
        rescale_fractional=False,
        allow_missing_positions=True,
    )
    return np.asarray(volume.array).take(0, axis=axis)
