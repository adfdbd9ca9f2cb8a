"""NumPy arrays: ``.npy``, and ``.npz`` of one array, never pickled ones; the manifest's ``axes`` says what is what."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge.errors import InputError
from edge.images.readers.stack import Layout, Pixels, Stack, naming, settled
from edge.images.readers.voxels import Voxels, inflated
from edge.safety.guard import parsing
from edge.safety.limits import exceeded, limits

AXES = ("hw", "chw", "hwc", "dhw", "dchw", "dhwc")
_REMEDY = "save it again with numpy.save"
_LONGEST_HEADER = 10_000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def open_numpy(path: Path, layout: Layout) -> Stack:
    """Open an array; of one with a ``d`` axis only the planes asked for are read.

    Raises:
        InputError: damaged, of Python objects, or with axes that the manifest does not name.
    """
    with naming(path), parsing(path, "a sound NumPy array", _REMEDY):
        stream = _array_stream(path)
        try:
            voxels = _voxels(stream)
            axes = _axes(layout.axes, voxels.shape)
            side = dict(zip(axes, voxels.shape, strict=True))
            if side["h"] * side["w"] > limits().pixels:
                raise exceeded(path, f"has {side['h'] * side['w']} pixels a plane", "pixels")
        except BaseException:
            stream.close()
            raise

    def read(plane: int) -> Pixels:
        with naming(path):
            values = voxels.slice(axes.index("d"), plane) if "d" in axes else _whole(voxels)
            left = axes.replace("d", "")
            shown = values.transpose([left.index(axis) for axis in "hwc" if axis in left])
            return Pixels(np.ascontiguousarray(settled(shown)))

    return Stack(path, side.get("d", 1), read, volume="d" in axes, close=stream.close)


def _axes(given: str | None, shape: tuple[int, ...]) -> str:
    """Which axis is what. A bare ``[h, w]`` or ``[h, w, 3]`` needs no word."""
    if not shape or 0 in shape:
        raise InputError(f"has the shape {list(shape)}; an image is [h, w] at least")
    axes = re.sub(r"[^a-z]", "", (given or "").lower())
    if not axes:
        if len(shape) == 2 or (len(shape) == 3 and shape[2] == 3):
            return "hw" if len(shape) == 2 else "hwc"
        raise InputError(
            f"has the shape {list(shape)}; add a column axes to manifest.csv with one of {', '.join(AXES)}"
        )
    if axes not in AXES or len(axes) != len(shape):
        raise InputError(f"axes {given!r} do not fit the shape {list(shape)}; give one of {', '.join(AXES)}")
    return axes


def _array_stream(path: Path) -> IO[bytes]:
    stream = path.open("rb")
    if stream.read(2) != b"PK":
        return stream
    with stream, zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(m.filename.removesuffix(".npy") for m in members[:5])
            raise InputError(f"holds {len(members)} arrays ({names}); save the image as the only one")
        with archive.open(members[0]) as packed:
            return inflated(packed, path)


def _voxels(stream: IO[bytes]) -> Voxels:
    stream.seek(0)
    version = np.lib.format.read_magic(stream)
    start = stream.tell()
    length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
    if length > _LONGEST_HEADER or version not in _HEADERS:
        raise ValueError("its header is not one that is read")
    stream.seek(start)
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject or any(side < 0 for side in shape):
        raise ValueError("it holds Python objects or has a negative side")
    return Voxels(stream, stream.tell(), tuple(shape), dtype, fortran)


def _whole(voxels: Voxels) -> Any:
    """The array of one plane, by way of a first axis of length 1."""
    shape = (*voxels.shape, 1) if voxels.fortran else (1, *voxels.shape)
    axis = len(voxels.shape) if voxels.fortran else 0
    return Voxels(voxels.stream, voxels.offset, shape, voxels.dtype, voxels.fortran).slice(axis, 0)
