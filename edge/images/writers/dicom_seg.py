"""Masks of DICOM images and series: one DICOM segmentation with a segment for each class, by highdicom."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import __version__
from edge.errors import InputError
from edge.images.grid import choose_view
from edge.images.readers.dicom import read_series
from edge.images.readers.dicom_frames import frames_of
from edge.images.readers.extra import medical
from edge.images.writers.mask import Mask

_MAKER = "SegEdge"


def write(mask: Mask, destination: Path) -> None:
    """Write the segmentation: of the image's study, patient and frame of reference, referring to its instances.

    Raises:
        InputError: the image does not say where its slices lie.
        MachineError: highdicom is not installed.
    """
    highdicom = medical("highdicom", mask.source)
    series = read_series(mask.source)
    if series.affine is None:
        raise InputError(
            f"{mask.source}: does not say where its slices lie in the patient, so no DICOM segmentation can refer to "
            "them; convert it to NIfTI or to pictures"
        )
    view = choose_view(series.affine, series.shape, mask.axis)
    apart = np.stack([_one_map_each(plane, len(mask.names)) for plane in mask.values])
    stored = np.ascontiguousarray(view.store(apart))
    files = list(dict.fromkeys(frame.path for frame in series.frames))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segmentation = highdicom.seg.Segmentation(
            source_images=[_source(path, view.grid(series.affine, series.shape).thickness) for path in files],
            pixel_array=stored,
            segmentation_type="BINARY",
            segment_descriptions=[_description(highdicom, n, name) for n, name in enumerate(mask.names, start=1)],
            series_instance_uid=highdicom.UID(),
            series_number=1,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_MAKER,
            software_versions=__version__,
            device_serial_number="0",
        )
        segmentation.save_as(destination)


def _source(path: Path, thickness: float) -> Any:
    """An instance that is referred to. Where it lacks its thickness, which a segmentation must name, the distance of
    the slices stands for it."""
    dataset = frames_of(path)
    if "SharedFunctionalGroupsSequence" not in dataset and not dataset.get("SliceThickness"):
        dataset.SliceThickness = f"{thickness:.6g}"
    return dataset


def _one_map_each(values: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Class indices, or maps that are apart already, as ``[h, w, classes]`` of 0 and 1."""
    if values.ndim == 3:
        return np.moveaxis(values, 0, -1)
    return np.stack([values == index for index in range(1, classes + 1)], axis=-1).astype(np.uint8)


def _description(highdicom: Any, number: int, name: str) -> Any:
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_MAKER, version=__version__, family=codes.DCM.ArtificialIntelligence
        ),
    )
