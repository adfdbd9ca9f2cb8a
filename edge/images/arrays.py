"""Images and masks in memory: arrays as an image set, without a file in between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.image_set import ImageSet, seeded_splits
from edge.images.manifest import SPLITS
from edge.images.masks import class_labels
from edge.images.readers.stack import Pixels
from edge.task.plane import DTYPES, Plane
from edge.task.task import SegmentationTask

NAME = "in memory"
_TUPLE = "give (image, mask), (image, mask, split) or (image, mask, split, name)"


@dataclass(frozen=True, eq=False)
class ArraySample:
    """One image and its mask, in memory; what :class:`~edge.images.image_set.Sample` is on disk.

    Attributes:
        name: unique in its set.
        array: ``[h, w]`` or ``[h, w, channels]`` of uint8, uint16, int16 or float32.
        truth: ``[h, w]`` class indices of any integer type or bool, ``[h, w, classes]`` where labels overlap;
            None where there is no mask.
        split: train, val or test.
        columns: none; a manifest has them.
    """

    name: str
    array: NDArray[Any]
    truth: NDArray[Any] | None
    split: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        """What messages call the image; no such file exists."""
        return Path(self.name)

    @property
    def mask(self) -> Path | None:
        """What messages call the mask; no such file exists."""
        return None if self.truth is None else Path(f"{self.name} (mask)")

    @property
    def files(self) -> tuple[Path, ...]:
        """None: nothing of it is on disk."""
        return ()

    @property
    def volume(self) -> str:
        """It is a slice of none."""
        return ""

    @property
    def index(self) -> int:
        """It is the only one of its case."""
        return 0

    def plane(self, task: SegmentationTask | None = None) -> Plane:
        """The image."""
        return Plane(self.array, name=self.name)

    def pixels(self) -> NDArray[Any]:
        """The values of :meth:`plane` alone."""
        return self.array

    def labels(self, task: SegmentationTask) -> NDArray[np.uint8]:
        """The mask as ``[h, w]`` uint8 class indices (0 and 1 where the task has at most two classes).

        Raises:
            InputError: no mask, or one with a class that the task does not name.
        """
        if self.truth is None:
            raise InputError(f"data: image {self.name!r} has no mask; give one or leave the image out")
        try:
            return class_labels([Pixels(self.truth)], (), task)
        except InputError as error:
            raise InputError(f"data: the mask of {self.name!r}: {error}") from None

    def pair(self, task: SegmentationTask) -> tuple[Plane, NDArray[np.uint8]]:
        """Image and mask."""
        return self.plane(), self.labels(task)

    def content_sha256(self) -> bytes:
        """A hash over shape, type and values of both."""
        digest = hashlib.sha256()
        for array in (self.array, self.truth):
            digest.update(b"-" if array is None else f"{array.shape}{array.dtype.str}".encode() + array.tobytes())
        return digest.digest()


def array_set(items: Iterable[Sequence[Any]], name: str = NAME) -> ImageSet:
    """Images and masks from any iterable of tuples; where none names a split, 70/15/15 by a fixed seed.

    Args:
        items: ``(image, mask)``, ``(image, mask, split)`` or ``(image, mask, split, name)``; images ``[h, w]`` or
            ``[h, w, channels]`` of uint8, uint16, int16 or float32; masks ``[h, w]`` class indices or bool, ``[h, w,
            classes]`` where labels overlap, or None.
        name: of the set, for reports.

    Raises:
        InputError: something else than such tuples; the message names the item.
    """
    rows = [_checked(index, item) for index, item in enumerate(items)]
    if not rows:
        raise InputError(f"data: is empty; {_TUPLE}")
    named = [row.split for row in rows if row.split]
    if named and len(named) < len(rows):
        raise InputError("data: some items name a split and some do not; name one for all or for none")
    if len({row.name for row in rows}) < len(rows):
        raise InputError("data: two items have the same name; rename one")
    splits = named or seeded_splits(len(rows))
    samples = tuple(ArraySample(row.name, row.array, row.truth, split) for row, split in zip(rows, splits, strict=True))
    return ImageSet(name, Path(name), samples, drawn=not named)


def _checked(index: int, item: Sequence[Any]) -> ArraySample:
    if not isinstance(item, Sequence) or isinstance(item, (str, bytes)) or not 2 <= len(item) <= 4:
        raise InputError(f"data: item {index} is not a tuple of two to four; {_TUPLE}")
    image, mask = np.asarray(item[0]), None if item[1] is None else np.asarray(item[1])
    split, name = (*item[2:], None, None)[:2]
    if image.dtype.name not in DTYPES or image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(
            f"data: the image of item {index} is {list(image.shape)} {image.dtype}; give [h, w] or [h, w, channels] of "
            f"{', '.join(DTYPES)}"
        )
    if mask is not None and image.ndim == 3 and mask.shape[:2] == image.shape[1:] != image.shape[:2]:
        raise InputError(
            f"data: the image of item {index} is {list(image.shape)}, channels first; give [h, w, channels]: "
            "image.transpose(1, 2, 0)"
        )
    if mask is not None and (
        mask.shape[:2] != image.shape[:2] or mask.ndim not in (2, 3) or mask.dtype.kind not in "uib"
    ):
        raise InputError(
            f"data: the mask of item {index} is {list(mask.shape)} {mask.dtype}; give {list(image.shape[:2])} integers"
        )
    if split is not None and split not in SPLITS:
        raise InputError(f"data: item {index} names split {split!r}; it is one of {', '.join(SPLITS)}")
    return ArraySample(str(name or f"image-{index:04}"), image, mask, split or "")
