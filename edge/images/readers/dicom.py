"""DICOM: one file, a multi-frame file, or a folder of one series, by pydicom.

Stored values become what they mean (rescale slope and intercept: Hounsfield units for CT), MONOCHROME1 is inverted,
slices are ordered by their position in the patient and never by name, and planes are shown as :mod:`edge.images.grid`
says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError, MachineError, first_line
from edge.images.grid import Affine, View, choose_view
from edge.images.readers.dicom_frames import Frame, frames_of, read_frames
from edge.images.readers.extra import medical
from edge.images.readers.stack import Layout, Pixels, Stack, naming, rescaled, settled
from edge.images.readers.voxels import Voxels, spooled
from edge.safety.guard import parsing, require_pixels

_REMEDY = "export it again"
_SAME_POSITION_MM = 1e-3
_UNEVEN = 0.02  # of the usual distance between slices
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")


@dataclass(frozen=True)
class Series:
    """Frames in the order of their position, and where they lie.

    Attributes:
        frames: from the first plane to the last.
        affine: ``[4, 4]``, (frame, row, column) to millimetres in LPS; None where the files do not say.
        notes: what is odd about it, one sentence each.
        even: every slice is as far from the next; False where one is missing.
    """

    frames: tuple[Frame, ...]
    affine: Affine | None
    notes: tuple[str, ...]
    even: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows, columns."""
        return len(self.frames), self.frames[0].rows, self.frames[0].columns


def open_dicom(path: Path, layout: Layout) -> Stack:
    """Open an image or a series.

    Raises:
        InputError: damaged, two series in one folder, slices of several shapes or at one position, or no image at all.
        MachineError: pydicom, or the decoder of its compression, is not installed.
    """
    medical("pydicom", path)
    with naming(path), _quiet(), parsing(path, "a sound DICOM image", _REMEDY, Exception):
        series = read_series(path)
        require_pixels(path, series.frames[0].columns, series.frames[0].rows)
        depth, volume = len(series.frames), len(series.frames) > 1
        if series.affine is None:
            return Stack(path, depth, lambda p: _decoded(series.frames[p]), volume, notes=series.notes)
        view = choose_view(series.affine, series.shape, layout.axis if volume else None)
        grid = replace(view.grid(series.affine, series.shape), even=series.even)

    def stack(read: Callable[[int], Pixels], close: Callable[[], None]) -> Stack:
        return Stack(path, grid.shape[0], read, volume, grid, view.axis, series.notes, close=close)

    if view.order[0] == 0:
        return stack(lambda plane: _shown(series.frames[view.stored_index(plane, depth)], view), lambda: None)
    across = _Across(series)

    def read(plane: int) -> Pixels:
        with naming(path):
            return across.read(view, view.stored_index(plane, grid.shape[0]))

    return stack(read, across.close)


def read_series(path: Path) -> Series:
    """The headers of a file or folder, in the order of the slices.

    Raises:
        InputError: see :func:`open_dicom`; some without the file's name.
    """
    frames, notes = read_frames(path)
    if not frames:
        raise InputError(f"{path}: holds no DICOM images; a folder is one series, pictures are given file by file")
    _require_one_series(path, frames)
    if frames[0].position is None or frames[0].orientation is None or frames[0].spacing is None:
        ordered = sorted(frames, key=lambda f: (f.number, f.path.name, f.index))
        said = (
            ("does not say where its slices lie, so they are in the order of their numbers",) if len(frames) > 1 else ()
        )
        return Series(tuple(ordered), None, (*notes, *said))
    return _placed(path, frames, notes)


def _placed(path: Path, frames: Sequence[Frame], notes: Sequence[str]) -> Series:
    first = frames[0]
    assert first.orientation is not None and first.spacing is not None
    along_row, along_column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(along_row, along_column)
    ordered = sorted(frames, key=lambda f: float(np.dot(normal, np.array(f.position))))
    places = np.array([frame.position for frame in ordered])
    affine = np.eye(4)
    affine[:3, 1], affine[:3, 2] = along_column * first.spacing[0], along_row * first.spacing[1]
    affine[:3, 3] = places[0]
    affine[:3, 0] = normal * (first.thickness or 1.0)
    if len(ordered) > 1:
        gaps = np.diff(places @ normal)
        usual = float(np.median(gaps))
        if gaps.min() < _SAME_POSITION_MM:
            twice = ordered[int(gaps.argmin())]
            raise InputError(
                f"{path}: holds several slices at one position ({twice.path.name} is one); keep one phase "
                "or repetition in the folder"
            )
        uneven = _gaps(ordered, gaps, usual)
        affine[:3, 0] = (places[-1] - places[0]) / (len(ordered) - 1) if not uneven else normal * usual
        return Series(tuple(ordered), affine, (*notes, *uneven), not uneven)
    return Series(tuple(ordered), affine, tuple(notes))


def _gaps(ordered: Sequence[Frame], gaps: NDArray[np.float64], usual: float) -> list[str]:
    wide = np.flatnonzero(np.abs(gaps - usual) > _UNEVEN * usual + _SAME_POSITION_MM)
    if not len(wide):
        return []
    at = int(wide[0])
    between = f"between {ordered[at].path.name} and {ordered[at + 1].path.name}"
    if gaps[at] > 1.5 * usual:
        return [f"a slice is missing {between}: they lie {gaps[at]:.3g} mm apart, the others {usual:.3g} mm"]
    return [f"its slices are unevenly spaced: {gaps[at]:.3g} mm {between}, {usual:.3g} mm elsewhere"]


def _require_one_series(path: Path, frames: Sequence[Frame]) -> None:
    first = frames[0]
    for frame in frames[1:]:
        if frame.series != first.series:
            count = len({f.series for f in frames})
            raise InputError(
                f"{path}: holds {count} series ({first.path.name} and {frame.path.name} belong to different ones); "
                "put each in its own folder"
            )
        if (frame.rows, frame.columns, frame.spacing) != (first.rows, first.columns, first.spacing) or not np.allclose(
            frame.orientation or (), first.orientation or (), atol=1e-3
        ):
            raise InputError(
                f"{frame.path}: has another size, spacing or direction than {first.path.name}; a series lies in one "
                "direction, so remove localizers"
            )


def _shown(frame: Frame, view: View) -> Pixels:
    pixels = _decoded(frame)
    return Pixels(np.ascontiguousarray(view.show(pixels.values)), pixels.bits_stored)


def _decoded(frame: Frame) -> Pixels:
    """One frame as it is stored, in its own units."""
    with naming(frame.path), _quiet(), parsing(frame.path, "a sound DICOM image", _REMEDY, Exception):
        dataset = frames_of(frame.path)
        kind = str(dataset.get("PhotometricInterpretation", ""))
        values = _stored(dataset, frame)
        if kind in _COLOUR:
            return Pixels(settled(values))
        if kind == "PALETTE COLOR":
            from pydicom.pixels.processing import apply_color_lut

            return Pixels(settled(np.asarray(apply_color_lut(values, dataset))))
        if kind not in _GREY:
            raise InputError(
                f"has the photometric interpretation {kind!r}, which is not read; export it as grey or RGB"
            )
        bits, signed = int(dataset.BitsStored), bool(dataset.get("PixelRepresentation", 0))
        if kind == "MONOCHROME1":
            values = (-1 if signed else (1 << bits) - 1) - values.astype(np.int64)
            values = values.astype(np.int32)
        if "ModalityLUTSequence" in dataset:
            from pydicom.pixels.processing import apply_modality_lut

            return Pixels(settled(np.asarray(apply_modality_lut(values, dataset))))
        slope, intercept = frame.rescale
        plain = (slope, intercept) == (1.0, 0.0)
        return Pixels(rescaled(values, slope, intercept), bits if plain and not signed else None)


def _stored(dataset: Any, frame: Frame) -> NDArray[Any]:
    """Pixel values of one frame, without the overlay that old files keep in the unused bits."""
    from pydicom.pixels.utils import pixel_array

    if "PixelData" not in dataset:
        raise InputError("holds no pixels; it may be a report or a plan, so remove it")
    try:
        values = np.asarray(pixel_array(dataset, index=frame.index))
    except RuntimeError as error:
        _blame(frame.path, dataset, error)
    bits, signed = int(dataset.BitsStored), bool(dataset.get("PixelRepresentation", 0))
    if values.dtype.kind == "u" and bits < 8 * values.dtype.itemsize and int(dataset.get("SamplesPerPixel", 1)) == 1:
        return values & values.dtype.type((1 << bits) - 1)
    if signed and bits < 8 * values.dtype.itemsize:
        shift = 8 * values.dtype.itemsize - bits
        return (values << shift) >> shift
    return values


def _blame(path: Path, dataset: Any, error: RuntimeError) -> None:
    """Whether the file is damaged, or its decoder is not there: those of the extra, or GDCM for lossless JPEG."""
    name = dataset.file_meta.TransferSyntaxUID.name
    text = first_line(error)
    if "missing dependencies" not in str(error) and "plugins" not in str(error):
        raise InputError(f"does not decode as {name} ({text}); {_REMEDY}") from None
    if "LS" in name or "2000" in name:
        raise MachineError(
            f"{path}: is {name} and its decoder is not installed; pip install 'segedge[medical]'"
        ) from None
    raise MachineError(
        f"{path}: is {name} and its decoder is not installed; pip install python-gdcm, or store it uncompressed "
        "(dcmdjpeg, gdcmconv --raw)"
    ) from None


class _Across:
    """A series cut across its slices: all of them, decoded once, when the first plane is asked for, into a temporary
    file."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._voxels: Voxels | None = None
        self._whole = True

    def read(self, view: View, index: int) -> Pixels:
        if self._voxels is None:
            self._voxels = Voxels(spooled(self._fill), 0, self._series.shape, np.dtype(np.float32))
        shown = np.ascontiguousarray(view.show(self._voxels.slice(view.order[0], index)))
        return Pixels(settled(shown.astype(np.int32)) if self._whole else shown)

    def close(self) -> None:
        if self._voxels is not None:
            self._voxels.stream.close()
            self._voxels = None

    def _fill(self, stream: IO[bytes]) -> None:
        for frame in self._series.frames:
            values = _decoded(frame).values
            if values.ndim != 2:
                raise InputError("is in colour, which is not cut across its slices; leave out axis")
            self._whole &= values.dtype.kind in "iu"
            stream.write(np.ascontiguousarray(values, np.float32).tobytes())


class _quiet(warnings.catch_warnings):
    """pydicom warns of values that break the standard's letter; what matters is an error."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
