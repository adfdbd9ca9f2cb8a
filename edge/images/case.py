"""A case: one row of a manifest. A picture, or a volume whose planes are samples, with its masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.levels import levels_of
from edge.images.masks import class_labels
from edge.images.readers.stack import Layout, Pixels, Stack, naming
from edge.images.shelf import Shelf
from edge.task.plane import Plane
from edge.task.statistics import Statistics
from edge.task.task import SegmentationTask


@dataclass(frozen=True, eq=False)
class Case:
    """The files of one row. They are opened when a plane is first asked for, and decoded plane by plane.

    Attributes:
        name: of the row: its image's stem.
        images: files whose channels are taken together, in this order; usually one.
        masks: none, one, or one for each class where labels overlap.
        layout: what the manifest says of the files.
        volume: whether it is a volume.
        shelf: keeps files open; shared by the whole set.
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    layout: Layout = field(default_factory=Layout)
    volume: bool = False
    shelf: Shelf = field(default_factory=Shelf)
    _statistics: dict[SegmentationTask, Statistics] = field(default_factory=dict, repr=False)

    @property
    def depth(self) -> int:
        """How many planes it has.

        Raises:
            InputError: its files have different numbers of them, or lie elsewhere in the patient.
        """
        first, *others = self._image_stacks()
        for other in others:
            with naming(other.path):
                _require_same_place(first, other)
        return first.depth

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of its files, one sentence each."""
        return tuple(f"{stack.path}: {note}" for stack in self._image_stacks() for note in stack.notes)

    @property
    def axis(self) -> str | None:
        """Which way its planes are looked at; None where it has no place in a patient."""
        return self._image_stacks()[0].axis

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Millimetres from row to row and from column to column; None where the file does not say."""
        grid = self._image_stacks()[0].grid
        return grid.spacing if grid is not None else None

    def plane(self, index: int, name: str, task: SegmentationTask | None = None) -> Plane:
        """Decode one plane.

        Args:
            index: which.
            name: of the sample.
            task: where its channels are slices (``z-1``, ``z``, ``z+1``), the planes beside this one are channels; at
                the edges of the volume the last one is repeated.

        Raises:
            InputError: it does not decode.
        """
        return self._plane(self._pixels(index, task), index, name, task)

    def labels(self, index: int, task: SegmentationTask) -> NDArray[np.uint8]:
        """Decode one plane of the mask, see :mod:`edge.images.masks`.

        Raises:
            InputError: no mask, one that does not decode or does not lie where the image lies, or one with values that
                the task does not speak of.
        """
        return self._labels(self.mask_pixels(index, task), task)

    def marked(self, index: int) -> bool:
        """Whether one plane of the mask marks anything, whatever it stands for."""
        image = self._image_stacks()[0]
        for path, mask in zip(self.masks, self._mask_stacks(), strict=True):
            with naming(path):
                plane = _plane_of(mask, image, index)
                if plane is not None and mask.read(plane).values.any():
                    return True
        return False

    def mask_levels(self, index: int) -> tuple[set[int], int]:
        """Every value in one plane of the mask, whatever it stands for, and how many maps the mask has."""
        image, values, maps = self._image_stacks()[0], set[int](), 0
        for path, mask in zip(self.masks, self._mask_stacks(), strict=True):
            with naming(path):
                plane = _plane_of(mask, image, index)
                if plane is not None:
                    pixels = mask.read(plane).values
                    values.update(levels_of(pixels).astype(int).tolist())
                    maps += pixels.shape[2] if pixels.ndim == 3 else 1
        return values, maps

    def pair(self, index: int, name: str, task: SegmentationTask) -> tuple[Plane, NDArray[np.uint8]]:
        """Decode image and mask, and make sure that they belong together.

        Raises:
            InputError: as :meth:`plane` and :meth:`labels`, or a mask of another size than its image, or turned
                otherwise.
        """
        pixels, masks = self._pixels(index, task), self.mask_pixels(index, task)
        if masks[0].turned != pixels.turned:
            raise InputError(
                f"{self.masks[0]}: has the EXIF orientation {_orientation(masks[0])}, but its image "
                f"{self.images[0].name} has {_orientation(pixels)}, so one would be turned and the other not; save "
                "both upright, or both as taken"
            )
        plane, labels = self._plane(pixels, index, name, task), self._labels(masks, task)
        if labels.shape[-2:] != plane.shape:
            (height, width), (image_height, image_width) = labels.shape[-2:], plane.shape
            raise InputError(
                f"{self.masks[0]}: is {width}x{height} pixels, but its image is {image_width}x{image_height}; "
                "make them the same size"
            )
        return plane, labels

    def _pixels(self, index: int, task: SegmentationTask | None) -> Pixels:
        stacks = self._image_stacks()
        depths = task.depths if task is not None else None
        if depths is None:
            return _together([stack.read(index) for stack in stacks], self.images)
        wanted = [min(max(index + step, 0), stacks[0].depth - 1) for step in depths]
        found = {plane: stacks[0].read(plane) for plane in set(wanted)}
        return _together([found[plane] for plane in wanted], self.images[:1] * len(wanted))

    def _plane(self, pixels: Pixels, index: int, name: str, task: SegmentationTask | None) -> Plane:
        statistics = None
        if task is not None and self.volume and task.intensity is not None and task.intensity.scope == "volume":
            statistics = self._volume_statistics(task)
        where = f"{self.images[0]}{f' (slice {index})' if self.volume else ''}"
        volume = self.name if self.volume else ""
        grid = self._image_stacks()[0].grid
        thickness = grid.thickness if self.volume and grid is not None and grid.even else None
        return Plane(pixels.values, self.spacing, name, where, volume, pixels.bits_stored, statistics, index, thickness)

    def mask_pixels(self, index: int, task: SegmentationTask) -> list[Pixels]:
        """One plane of each of its masks' files, as stored.

        Raises:
            InputError: as :meth:`labels`, but for values that the task does not speak of.
        """
        if not self.masks:
            raise InputError(f"{self.images[0]}: has no mask; add one to the manifest or leave the image out")
        image = self._image_stacks()[0]
        planes: list[Pixels] = []
        for path, mask in zip(self.masks, self._mask_stacks(), strict=True):
            with naming(path):
                planes += _mask_planes(mask, image, index, task)
                _require_same_size(planes[-1], planes[0])
        return planes

    def _labels(self, planes: Sequence[Pixels], task: SegmentationTask) -> NDArray[np.uint8]:
        with naming(self.masks[0]):
            return class_labels(planes, self._mask_stacks()[0].segments, task)

    def _image_stacks(self) -> list[Stack]:
        return [self.shelf.image(path, self.layout) for path in self.images]

    def _mask_stacks(self) -> list[Stack]:
        """Looked at the same way as the image."""
        axis = self._image_stacks()[0].axis or self.layout.axis
        return [self.shelf.mask(path, replace(self.layout, axis=axis)) for path in self.masks]

    def _volume_statistics(self, task: SegmentationTask) -> Statistics:
        """Of the whole volume; learned once for each task."""
        if task not in self._statistics:
            self._statistics[task] = task.statistics(self._every_plane)
        return self._statistics[task]

    def _every_plane(self) -> Iterator[Plane]:
        return (self.plane(index, f"{self.name}#{index:04d}") for index in range(self.depth))


def _together(pixels: Sequence[Pixels], paths: Sequence[Path]) -> Pixels:
    """The channels of several files, or slices, as one."""
    if len(pixels) == 1:
        return pixels[0]
    for each, path in zip(pixels, paths, strict=True):
        if each.values.shape[:2] != pixels[0].values.shape[:2]:
            raise InputError(
                f"{path}: has another size than {paths[0].name}; the files of one row are channels of one image"
            )
    dtype = np.result_type(*(each.values.dtype for each in pixels))
    wide = dtype if dtype.name in ("uint8", "uint16", "int16", "float32") else np.dtype(np.float32)
    bits = {each.bits_stored for each in pixels}
    return Pixels(np.dstack([each.values.astype(wide) for each in pixels]), bits.pop() if len(bits) == 1 else None)


def _mask_planes(mask: Stack, image: Stack, index: int, task: SegmentationTask) -> list[Pixels]:
    """The planes of a mask's file that belong to one plane of the image."""
    if not image.volume and mask.depth == len(task.classes) > 1 and task.overlapping:
        return [mask.read(page) for page in range(mask.depth)]
    plane = _plane_of(mask, image, index)
    if plane is not None:
        return [mask.read(plane)]
    assert mask.grid is not None
    return [Pixels(np.zeros((*mask.grid.shape[1:], len(mask.segments)), np.uint8))]


def _plane_of(mask: Stack, image: Stack, index: int) -> int | None:
    """The plane of a mask that belongs to one of its image; None where a segmentation does not speak of it, since it
    holds the slices that it marks and no others."""
    if mask.segments and mask.grid is not None and image.grid is not None:
        try:
            plane = index + image.grid.first_plane_of(mask.grid)
        except InputError as error:
            raise InputError(f"{error} {image.path.name}; export it with that series") from None
        return plane if 0 <= plane < mask.depth else None
    _require_same_place(image, mask)
    return index


def _require_same_place(image: Stack, other: Stack) -> int:
    """Refuse a file that does not cover the image plane for plane; 0, the plane of it that is the image's first."""
    if image.grid is not None and other.grid is not None:
        try:
            first = image.grid.first_plane_of(other.grid)
        except InputError as error:
            raise InputError(f"{error} {image.path.name}; resample it onto that image's grid") from None
        if first:
            raise InputError(f"begins {abs(first)} slices off its image {image.path.name}; resample it onto that grid")
    if other.depth != image.depth:
        raise InputError(
            f"has {other.depth} planes, but its image {image.path.name} has {image.depth}; make them match"
        )
    return 0


def _orientation(pixels: Pixels) -> str:
    """The EXIF orientation as it is told: 1 is also what a file without any is read as."""
    return "1 or none" if pixels.turned == 1 else str(pixels.turned)


def _require_same_size(one: Pixels, other: Pixels) -> None:
    if one.values.shape[:2] != other.values.shape[:2]:
        sizes = [f"{p.values.shape[1]}x{p.values.shape[0]}" for p in (one, other)]
        raise InputError(f"is {sizes[0]} pixels where the first mask is {sizes[1]}; make them the same size")
