"""Frames of DICOM files: what the headers say of each slice, without any pixel being decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError

Numbers = tuple[float, ...]

_MOST_FRAMES = 100_000
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "BurnedInAnnotation",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
_OVERLAY_ROWS = (0x6000, 0x0010)


@dataclass(frozen=True)
class Frame:
    """One slice: where it is stored and where it lies.

    Attributes:
        path, index: file, and frame within it.
        series: UID of its series.
        number: its instance number, 0 where it has none.
        rows, columns: its size.
        position: millimetres of its first pixel in LPS; None where the file does not say.
        orientation: direction of a row, then of a column.
        spacing: millimetres from row to row and from column to column.
        thickness: millimetres to the next slice as the header has it.
        rescale: slope and intercept.
    """

    path: Path
    index: int
    series: str
    number: int
    rows: int
    columns: int
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    thickness: float | None
    rescale: tuple[float, float]


def frames_of(path: Path) -> Any:
    """The whole data set of a file, pixels not decoded."""
    import pydicom

    return pydicom.dcmread(path)


def read_frames(path: Path) -> tuple[list[Frame], list[str]]:
    """Every frame of a file, or of the DICOM files directly in a folder, and what is odd about them.

    Raises:
        InputError: a file that is damaged, or no image.
    """
    frames: list[Frame] = []
    notes: dict[str, None] = {}
    for file in [path] if path.is_file() else dicom_files(path):
        header = _header(file)
        frames += _frames(file, header)
        for note in _oddities(header):
            notes[note] = None
    return frames, list(notes)


def dicom_files(folder: Path) -> list[Path]:
    """Files of a folder that begin as DICOM files do; an index (DICOMDIR) is none."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return [p for p in files if p.name != "DICOMDIR" and is_dicom(p)]


def is_dicom(path: Path) -> bool:
    """Whether a file carries the mark of DICOM after its preamble."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _header(path: Path) -> Any:
    import pydicom
    from pydicom.tag import Tag

    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*map(Tag, _TAGS), Tag(*_OVERLAY_ROWS)])


def _frames(path: Path, header: Any) -> Iterator[Frame]:
    if str(header.get("SOPClassUID", "")).startswith(_SEGMENTATION):
        raise InputError(f"{path}: is a segmentation and no image; name it in the mask column")
    if "Rows" not in header or "Columns" not in header:
        raise InputError(f"{path}: holds no pixels; it may be a report or a plan, so remove it")
    count = int(header.get("NumberOfFrames", 1) or 1)
    if not 1 <= count <= _MOST_FRAMES:
        raise InputError(f"{path}: says that it has {count} frames; export it again")
    shared = _first(header, "SharedFunctionalGroupsSequence")
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    for index in range(count):
        places = (own[index] if index < len(own) else None, shared, header)
        slope, intercept = (
            _value(places, "PixelValueTransformationSequence", tag) for tag in ("RescaleSlope", "RescaleIntercept")
        )
        spacing = _value(places, "PixelMeasuresSequence", "PixelSpacing") or header.get("ImagerPixelSpacing")
        thickness = _value(places, "PixelMeasuresSequence", "SpacingBetweenSlices") or _value(
            places, "PixelMeasuresSequence", "SliceThickness"
        )
        yield Frame(
            path,
            index,
            str(header.get("SeriesInstanceUID", "")),
            int(header.get("InstanceNumber", 0) or 0),
            int(header.Rows),
            int(header.Columns),
            _numbers(_value(places, "PlanePositionSequence", "ImagePositionPatient"), 3),
            _numbers(_value(places, "PlaneOrientationSequence", "ImageOrientationPatient"), 6),
            _numbers(spacing, 2),
            abs(float(thickness)) if thickness else None,
            (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)),
        )


def _value(places: Sequence[Any], group: str, tag: str) -> Any:
    """A value of a functional group: the frame's own, the shared one, or that of the file itself."""
    for place in places[:2]:
        item = _first(place, group) if place is not None else None
        if item is not None and item.get(tag) is not None:
            return item.get(tag)
    return places[2].get(tag)


def _first(dataset: Any, name: str) -> Any:
    sequence = dataset.get(name) if dataset is not None else None
    return sequence[0] if sequence else None


def _numbers(value: Any, count: int) -> Numbers | None:
    if value is None or len(value) != count:
        return None
    return tuple(float(v) for v in value)


def _oddities(header: Any) -> Iterator[str]:
    if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
        yield "says that text is burnt into its pixels, which the network sees as well"
    if _OVERLAY_ROWS in header:
        yield "carries an overlay, which is left out: the network sees the pixels alone"
