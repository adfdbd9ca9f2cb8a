"""NIfTI volumes (``.nii``, ``.nii.gz``), one plane at a time: nibabel reads the header, the voxels stay on disk."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from edge.errors import InputError
from edge.images.grid import Affine, View, choose_view
from edge.images.readers.extra import medical
from edge.images.readers.stack import Layout, Pixels, Stack, naming, rescaled
from edge.images.readers.voxels import Voxels, inflated
from edge.safety.guard import parsing
from edge.safety.limits import exceeded, limits

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REMEDY = "convert or copy it again"
_GZIP = b"\x1f\x8b"
_COLOURS = {"RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Header:
    """What the header of a NIfTI file says.

    Attributes:
        shape: x, y, z as stored (1 where the file has fewer axes).
        channels: length of the last axis of a 4-D file, or of a colour; None for one value a voxel.
        affine: stored indices to millimetres in LPS.
        slope, intercept: of the values.
        dtype: of the values as stored.
        offset: of the first voxel in the file, in bytes.
        colour: whether the channels of a voxel lie beside each other.
    """

    shape: tuple[int, int, int]
    channels: int | None
    affine: Affine
    slope: float
    intercept: float
    dtype: np.dtype[Any]
    offset: int
    colour: bool


def open_nifti(path: Path, layout: Layout) -> Stack:
    """Open a volume; its planes are shown as DICOM shows them.

    A packed file is unpacked when the first plane is asked for.

    Raises:
        InputError: damaged, complex values, or more axes than four.
        MachineError: nibabel is not installed, or there is no room to unpack the file.
    """
    header, view = read_geometry(path, layout.axis)
    grid = view.grid(header.affine, header.shape)
    file = _File(path, header)

    def read(plane: int) -> Pixels:
        with naming(path), parsing(path, "a sound NIfTI file", _REMEDY):
            values = _plane(file.voxels(), header, view, view.stored_index(plane, grid.shape[0]))
            return Pixels(np.ascontiguousarray(view.show(rescaled(values, header.slope, header.intercept))))

    return Stack(path, grid.shape[0], read, volume=True, grid=grid, axis=view.axis, close=file.close)


def read_geometry(path: Path, axis: str | None) -> tuple[Header, View]:
    """The header of a file, and how its volume is looked at.

    Raises:
        InputError, MachineError: as :func:`open_nifti`.
    """
    medical("nibabel", path)
    with naming(path), parsing(path, "a sound NIfTI file", _REMEDY, *_faults()):
        with _reader(path) as stream:
            header = read_header(stream)
        if header.shape[0] * header.shape[1] > limits().pixels:
            raise exceeded(path, f"has {header.shape[0] * header.shape[1]} pixels a slice", "pixels")
        return header, choose_view(header.affine, header.shape, axis)


class _File:
    """The voxels of a file, opened when first asked for."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path, self._header = path, header
        self._voxels: Voxels | None = None
        if not _is_packed(path):
            self.voxels()  # a file that is too short is said at once

    def voxels(self) -> Voxels:
        if self._voxels is None:
            with naming(self._path):
                stream = self._uncompressed()
                try:
                    self._voxels = _voxels(stream, self._header)
                except BaseException:
                    stream.close()
                    raise
        return self._voxels

    def close(self) -> None:
        if self._voxels is not None:
            self._voxels.stream.close()
            self._voxels = None

    def _uncompressed(self) -> IO[bytes]:
        if not _is_packed(self._path):
            return self._path.open("rb")
        with _reader(self._path) as packed:
            return inflated(packed, self._path)


def read_header(stream: IO[bytes]) -> Header:
    """The header of an uncompressed stream.

    Raises:
        InputError: says what is wrong with it, without the file's name.
    """
    import nibabel

    stream.seek(0)
    start = stream.read(4)
    kind: Any = (
        nibabel.Nifti2Header if 540 in (int.from_bytes(start, e) for e in ("little", "big")) else nibabel.Nifti1Header
    )
    stream.seek(0)
    with nibabel.imageglobals.LoggingOutputSuppressor():
        header = kind.from_fileobj(stream)
        affine = np.asarray(header.get_best_affine(), np.float64)
        slope, intercept = header.get_slope_inter()
    sides = [int(side) for side in header.get_data_shape()]
    if not sides or min(sides) < 1:
        raise InputError(f"its header gives the shape {sides}; convert it again")
    sides = sides[:3] + [side for side in sides[3:] if side != 1]  # vectors are stored as x, y, z, 1, channels
    if len(sides) > 4:
        raise InputError(f"has {len(sides)} axes; a volume has x, y, z and channels, so split it")
    dtype = header.get_data_dtype()
    colour = _COLOURS.get("".join(dtype.names or ()).upper())
    if dtype.names and colour is None:
        raise InputError(f"holds voxels of {'/'.join(dtype.names)}; store real numbers")
    shape = (*sides, 1, 1)[:3]
    channels = colour or (sides[3] if len(sides) == 4 else None)
    return Header(
        (shape[0], shape[1], shape[2]),
        channels,
        _with_depth(_RAS_TO_LPS @ affine),
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
        np.dtype(np.uint8) if colour else dtype,
        int(header.get_data_offset()),
        colour is not None,
    )


def _voxels(stream: IO[bytes], header: Header) -> Voxels:
    if header.channels is None:
        shape: tuple[int, ...] = header.shape
    elif header.colour:
        shape = (header.channels, *header.shape)
    else:
        shape = (*header.shape, header.channels)
    return Voxels(stream, header.offset, shape, header.dtype, fortran=True)


def _plane(voxels: Voxels, header: Header, view: View, index: int) -> Any:
    if not header.colour:
        return voxels.slice(view.order[0], index)
    return np.moveaxis(voxels.slice(view.order[0] + 1, index), 0, -1)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def _reader(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked on the way."""
    return cast("IO[bytes]", gzip.open(path)) if _is_packed(path) else path.open("rb")


def _faults() -> tuple[type[Exception], ...]:
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return HeaderDataError, WrapStructError


def _with_depth(affine: Affine) -> Affine:
    """A picture's header may leave the direction across it at 0; any length will do."""
    columns = affine[:3, :3]
    if columns[:, 2].any() or not np.cross(columns[:, 0], columns[:, 1]).any():
        return affine
    filled = affine.copy()
    normal = np.cross(columns[:, 0], columns[:, 1])
    filled[:3, 2] = normal / np.linalg.norm(normal)
    return filled
