"""TIFF: stacks, more than four channels, 16 and 32 bits by tifffile; a single 8-bit picture goes to Pillow."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.readers.pillow import (
    REMEDY,
    are_coloured,
    as_levels,
    decode,
    image_values,
    open_picture,
    open_picture_mask,
)
from edge.images.readers.stack import Layout, Pixels, Stack, naming, settled, whole_numbers
from edge.images.readers.voxels import Voxels
from edge.safety.guard import parsing, require_picture, require_pixels

_CHANNELS = "SC"
_INVERTED, _PALETTE = 0, 3  # photometric interpretations
_WITH_ALPHA = {2: 1, 4: 3}  # samples of a picture whose last is alpha, and how many it has without


@dataclass(frozen=True)
class _Pages:
    """One series of a file: which of its axes are what.

    Attributes:
        axes, shape: letters and lengths; Y and X, at most one axis of channels, at most one of planes.
        page_axes: how many of the axes, counted from the last, lie within one page.
        depth_axis: letter of the planes, or "".
        bits, inverted, palette, alpha: of every sample.
    """

    axes: str
    shape: tuple[int, ...]
    page_axes: int
    depth_axis: str
    bits: int
    inverted: bool
    palette: bool
    alpha: bool

    @property
    def depth(self) -> int:
        return self.shape[self.axes.index(self.depth_axis)] if self.depth_axis else 1


def open_tiff(path: Path, layout: Layout) -> Stack:
    """Open an image; the pages of a stack are its planes.

    Raises:
        InputError: damaged, pages of several shapes, or more axes than planes and channels.
    """
    return _open(path, layout, open_picture, _as_image, lambda p: image_values(decode(path, p)))


def open_tiff_mask(path: Path, layout: Layout) -> Stack:
    """Open a mask: whole numbers, ``[h, w]`` a plane, or ``[h, w, channels]``.

    Raises:
        InputError: as :func:`open_tiff`.
    """
    return _open(path, layout, open_picture_mask, _as_mask, lambda p: np.asarray(decode(path, p)))


def _open(
    path: Path,
    layout: Layout,
    single: Callable[[Path, Layout], Stack],
    finish: Callable[[NDArray[Any], _Pages], NDArray[Any]],
    by_pillow: Callable[[int], NDArray[Any]],
) -> Stack:
    require_picture(path)
    with naming(path), parsing(path, "an image that decodes", REMEDY, Exception):
        file = tifffile.TiffFile(path)
        try:
            _require_an_end(file)
            series, pages = _series(file)
            if pages is None:
                file.close()
                return single(path, layout)
            side = dict(zip(pages.axes, pages.shape, strict=True))
            require_pixels(path, side["X"], side["Y"])
            raw = _contiguous(file, series) or _paged(path, series, pages, by_pillow)
        except BaseException:
            file.close()
            raise

    def read(plane: int) -> Pixels:
        with naming(path), parsing(path, "an image that decodes", REMEDY, Exception):
            stored = _as_planes(raw(pages, plane), pages)
            values = finish(stored, pages)
            bits = pages.bits if values.dtype.kind == "u" else None
            return Pixels(values, bits_stored=bits, coloured=finish is _as_mask and _has_colours(stored, pages))

    return Stack(path, pages.depth, read, volume=bool(pages.depth_axis), close=file.close)


def _require_an_end(file: tifffile.TiffFile) -> None:
    """Refuse a chain of pages that comes back to one of its own: tifffile follows it for ever.

    Raises:
        InputError: it does.
    """
    tiff, stream, seen = file.tiff, file.filehandle, set[int]()
    offset = int(file.pages.first.offset) if file.pages else 0
    while offset:
        if offset in seen:
            raise InputError(f"its pages go in a circle: the one at byte {offset} follows itself; save it again")
        seen.add(offset)
        stream.seek(offset)
        count = stream.read(tiff.tagnosize)
        if len(count) < tiff.tagnosize:
            return  # the end is missing: tifffile says so
        stream.seek(struct.unpack(tiff.tagnoformat, count)[0] * tiff.tagsize, 1)
        following = stream.read(tiff.offsetsize)
        offset = struct.unpack(tiff.offsetformat, following)[0] if len(following) == tiff.offsetsize else 0


def _series(file: tifffile.TiffFile) -> tuple[Any, _Pages | None]:
    """The file's only series and its axes; None where it is one plain picture for Pillow."""
    if not file.series:
        raise InputError("holds no pictures")
    if len(file.series) > 1:
        raise InputError(f"holds pictures of {len(file.series)} shapes; save each in its own file")
    series = file.series[0]
    page = series.keyframe
    axes = "".join(axis for axis, side in zip(series.axes, series.shape, strict=True) if side > 1 or axis in "YX")
    sides = tuple(side for axis, side in zip(series.axes, series.shape, strict=True) if side > 1 or axis in "YX")
    if math.prod(sides) == math.prod(page.shape) and page.bitspersample <= 8 and page.samplesperpixel <= 4:
        return series, None
    others = [axis for axis in axes if axis not in f"YX{_CHANNELS}"]
    if len(others) > 1 or sum(axis in _CHANNELS for axis in axes) > 1 or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"has the axes {axes} of {'x'.join(map(str, sides))}; a stack has planes and channels, so split it"
        )
    in_page = sum(axis in axes for axis, side in zip(page.axes, page.shape, strict=True) if side > 1 or axis in "YX")
    inverted, palette = int(page.photometric) == _INVERTED, int(page.photometric) == _PALETTE
    alpha = bool(page.extrasamples) and page.samplesperpixel in _WITH_ALPHA
    depth = others[0] if others else ""
    return series, _Pages(axes, sides, in_page, depth, page.bitspersample, inverted, palette, alpha)


def _contiguous(file: tifffile.TiffFile, series: Any) -> Callable[[_Pages, int], NDArray[Any]] | None:
    """Reads a plane out of one uncompressed block, as ImageJ writes stacks."""
    if series.dataoffset is None:
        return None
    dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)

    def read(pages: _Pages, plane: int) -> NDArray[Any]:
        stream = cast("IO[bytes]", file.filehandle._fh)
        voxels = Voxels(stream, int(series.dataoffset), (1, *pages.shape), dtype)
        axis = pages.axes.index(pages.depth_axis) + 1 if pages.depth_axis else 0
        taken = voxels.slice(axis, plane)
        return taken[0] if pages.depth_axis else taken

    return read


def _paged(
    path: Path, series: Any, pages: _Pages, by_pillow: Callable[[int], NDArray[Any]]
) -> Callable[[_Pages, int], NDArray[Any]]:
    """Reads a plane page by page. Pillow reads the grey pages whose compression tifffile alone does not know."""
    lead = pages.axes[: len(pages.axes) - pages.page_axes]
    sides = pages.shape[: len(lead)]

    def one(index: int) -> NDArray[Any]:
        page = series.pages[index]
        try:
            return np.asarray(page.asarray())
        except ValueError:
            if pages.page_axes > 2:
                raise
            return by_pillow(index)

    def read(pages: _Pages, plane: int) -> NDArray[Any]:
        numbers: NDArray[Any] = np.arange(math.prod(sides)).reshape(sides)
        if pages.depth_axis:
            numbers = numbers.take(plane, axis=lead.index(pages.depth_axis))
        return np.stack([one(int(n)) for n in numbers.ravel()]) if numbers.ndim else one(int(numbers))

    return read


def _as_planes(values: NDArray[Any], pages: _Pages) -> NDArray[Any]:
    """``[h, w]`` or ``[h, w, channels]``."""
    left = pages.axes.replace(pages.depth_axis, "") if pages.depth_axis else pages.axes
    values = values.reshape([side for axis, side in zip(pages.axes, pages.shape, strict=True) if axis in left])
    return values.transpose([left.index(axis) for axis in "YX"] + [i for i, a in enumerate(left) if a in _CHANNELS])


def _as_image(values: NDArray[Any], pages: _Pages) -> NDArray[Any]:
    if pages.palette:
        raise InputError("holds a stack of palette colours; save it as RGB or as grey")
    if pages.alpha:
        kept = values[..., : _WITH_ALPHA[values.shape[-1]]]
        values = kept[..., 0] if kept.shape[-1] == 1 else kept
    if pages.inverted:
        if values.dtype.kind != "u":
            raise InputError("counts white as 0 in signed values; save it with black as 0")
        values = np.asarray((1 << pages.bits) - 1 - values.astype(np.int64)).astype(values.dtype)
    return np.ascontiguousarray(settled(values))


def _as_mask(values: NDArray[Any], pages: _Pages) -> NDArray[Any]:
    return as_levels(values) if _is_picture(values, pages) else whole_numbers(settled(values))


def _is_picture(values: NDArray[Any], pages: _Pages) -> bool:
    return "S" in pages.axes and values.shape[-1] in (3, 4)


def _has_colours(values: NDArray[Any], pages: _Pages) -> bool:
    return _is_picture(values, pages) and are_coloured(values)
