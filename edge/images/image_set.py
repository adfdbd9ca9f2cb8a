"""Image sets: real images with their masks, and which of them may be used for what."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.case import Case
from edge.images.manifest import NAME, Row, read_manifest
from edge.images.readers import SUFFIXES, always_one, is_image_name, stem
from edge.images.readers.stack import Layout
from edge.images.shelf import Shelf
from edge.notebook.shown import Shown, Table
from edge.task.plane import Plane
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from edge.images.arrays import ArraySample

_FOLDER_SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
_FOLDER_SEED = 42
VOLUME_COLUMN = "volume"


@dataclass(frozen=True)
class Sample:
    """One image and its mask: a picture, or one slice of a volume.

    Attributes:
        name: the image's stem, unique in its set; of a slice ``CASE#0042``.
        case: the files it lies in.
        split: train, val or test.
        columns: every further column of the manifest (patient, modality, ...); of a slice also its ``volume``.
        index: which plane of the case it is.
    """

    name: str
    case: Case
    split: str
    columns: Mapping[str, str] = field(default_factory=dict)
    index: int = 0

    @property
    def image(self) -> Path:
        """The image's file, or the first of several."""
        return self.case.images[0]

    @property
    def mask(self) -> Path | None:
        """The mask's file, or the first of several; None where the set has none for this image."""
        return self.case.masks[0] if self.case.masks else None

    @property
    def volume(self) -> str:
        """The volume it is a slice of; "" for a picture."""
        return self.case.name if self.case.volume else ""

    @property
    def files(self) -> tuple[Path, ...]:
        """The image's files where it is a picture; none for a slice, which is no file of its own."""
        return () if self.volume else self.case.images

    def content_sha256(self) -> bytes:
        """The hashes of all its files' bytes, one after the other."""
        return b"".join(
            _file_digest(path) if path else b"-" for path in (*self.case.images, *(self.case.masks or (None,)))
        )

    def plane(self, task: SegmentationTask | None = None) -> Plane:
        """Decode the image.

        Args:
            task: what it is decoded for: slices beside it become channels, figures of the volume come along; None takes
                the plane alone.

        Raises:
            InputError: it does not decode.
        """
        return self.case.plane(self.index, self.name, task)

    def pixels(self) -> NDArray[Any]:
        """The values of :meth:`plane` alone: ``[h, w]`` or ``[h, w, channels]``."""
        return self.plane().values

    def labels(self, task: SegmentationTask) -> NDArray[np.uint8]:
        """Decode the mask: ``[h, w]`` uint8 class indices (0 and 1 where the task has at most two classes), or
        ``[classes, h, w]`` of 0 and 1 where labels overlap; :data:`edge.task.decide.IGNORED` where not counted.

        Raises:
            InputError: no mask, one that does not decode, or one that holds what the task does not speak of.
        """
        return self.case.labels(self.index, task)

    def pair(self, task: SegmentationTask) -> tuple[Plane, NDArray[np.uint8]]:
        """Decode image and mask, and make sure that they belong together.

        Raises:
            InputError: as :meth:`plane` and :meth:`labels`, or a mask of another size than its image.
        """
        return self.case.pair(self.index, self.name, task)


@dataclass(frozen=True, repr=False)
class ImageSet(Shown):
    """Images with masks. Iterates over its samples.

    Attributes:
        name: the folder's name.
        root: the folder.
        samples: in the order of the manifest, slices of a volume in the order of their planes.
        drawn: the folder names no splits, so they were drawn by a fixed seed.
        notes: what is odd about its files, one sentence each.
    """

    name: str
    root: Path
    samples: tuple[Sample | ArraySample, ...]
    drawn: bool = False
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {split}" for split, count in self._counts().items())
        return f"<ImageSet {self.name}: {counts or 'empty'}>"

    def _table(self) -> Table:
        return ("split", "images"), self._counts().items()

    def _counts(self) -> Counter[str]:
        return Counter(sample.split for sample in self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample | ArraySample]:
        return iter(self.samples)

    def split(self, name: str) -> ImageSet:
        """The samples of one split.

        Raises:
            InputError: the split is empty.
        """
        chosen = tuple(s for s in self.samples if s.split == name)
        if not chosen:
            raise InputError(f"{self.root}: the {name} split is empty; add images with split = {name}")
        return ImageSet(self.name, self.root, chosen)

    def spread(self, count: int) -> ImageSet:
        """At most ``count`` samples, evenly spaced over the set, so that no part of it is left out.

        Of volumes, over the volumes first, then over the depth of each.
        """
        if count >= len(self):
            return self
        volumes: dict[str, list[Sample | ArraySample]] = {}
        for sample in self.samples:
            volumes.setdefault(sample.volume or sample.name, []).append(sample)
        chosen = _over_volumes(list(volumes.values()), count)
        return ImageSet(self.name, self.root, tuple(sample for sample in self.samples if sample.name in chosen))

    def digests(self) -> dict[str, str]:
        """SHA-256 of each image's decoded pixels and shape, by sample name."""
        return {sample.name: pixel_digest(sample.pixels()) for sample in self.samples}

    def sha256(self) -> str:
        """One hash over the content of all images and masks, in order."""
        digest = hashlib.sha256()
        volumes: dict[str, bytes] = {}
        for sample in self.samples:
            content = volumes.get(sample.volume) or sample.content_sha256()
            digest.update(content)
            if sample.volume:
                volumes[sample.volume] = content
                digest.update(f"#{sample.index}".encode())
        return digest.hexdigest()


def pixel_digest(pixels: NDArray[Any]) -> str:
    """SHA-256 of decoded pixels, their shape and their type."""
    head = repr(pixels.shape) if pixels.dtype == np.uint8 else f"{pixels.dtype}{pixels.shape}"
    return hashlib.sha256(head.encode() + pixels.tobytes()).hexdigest()


def load_image_set(root: Path) -> ImageSet:
    """Open a folder with ``manifest.csv``, or with ``images/`` and ``masks/`` of equal stems.

    Plain folders are split 70/15/15 by a fixed seed over the sorted stems; a volume stays in one split.

    Raises:
        InputError: neither layout is there, or the manifest is wrong; the message names the line.
    """
    if root.is_file():
        raise InputError(
            f"{root}: is a file; give a folder with {NAME}, which may name the file, or images/ and masks/"
        )
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a folder with {NAME}, or with images/ and masks/")
    if os.path.lexists(root / NAME):  # a link to nothing, or a pipe, is no leave to draw other splits
        rows, drawn = read_manifest(root), False
    elif (root / "images").is_dir():
        rows, drawn = _folder_rows(root), True
    else:
        raise InputError(f"{root}: holds neither {NAME} nor images/ and masks/; see the README for both layouts")
    shelf = Shelf()
    cases = [_case(row, shelf) for row in rows]
    samples = tuple(s for row, case in zip(rows, cases, strict=True) for s in _samples(row, case))
    _require_unique_names(root / (NAME if not drawn else "images"), cases)
    notes = tuple(dict.fromkeys(note for case in cases if case.volume for note in case.notes))
    return ImageSet(root.resolve().name, root, samples, drawn, notes)


def _case(row: Row, shelf: Shelf) -> Case:
    volume = not always_one(row.images[0]) and shelf.image(row.images[0], row.layout).volume
    return Case(stem(row.images[0]), row.images, row.masks, row.layout, volume, shelf)


def _samples(row: Row, case: Case) -> Iterator[Sample]:
    """The samples of a row: the picture, or the slices of the volume."""
    for path in (*case.images, *case.masks):
        _require_utf8(path)
    if not case.volume:
        yield Sample(case.name, case, row.split, row.columns)
        return
    columns = {VOLUME_COLUMN: case.name, **row.columns}
    for index in range(case.depth):
        if not row.labelled or case.marked(index):
            yield Sample(f"{case.name}#{index:04d}", case, row.split, columns, index)


def _folder_rows(root: Path) -> tuple[Row, ...]:
    images = _pictures(root / "images")
    mask_folder = root / "masks"
    if not mask_folder.is_dir():
        raise InputError(f"{root}: has images/ but no masks/; put one mask of the same stem there for each image")
    masks = {stem(p): p for p in reversed(_pictures(mask_folder))}
    if not images:
        raise InputError(f"{root / 'images'}: holds no {', '.join(SUFFIXES)} files; put the images there")
    lonely = next((p for p in images if stem(p) not in masks), None)
    if lonely is not None:
        raise InputError(f"{lonely}: has no mask of the same stem in {mask_folder}; add it or remove the image")
    return tuple(
        Row(str(image), (image,), (masks[stem(image)],), split, Layout(), False, {})
        for image, split in zip(images, seeded_splits(len(images)), strict=True)
    )


def _pictures(folder: Path) -> list[Path]:
    """Image files of a folder, and folders of DICOM series in it."""
    found = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and (is_image_name(p) or p.is_dir()))
    for path in found:
        if path.is_symlink() and not path.exists():
            raise InputError(f"{path}: is a link to nothing; restore the file or remove the link")
    return found


def seeded_splits(count: int) -> list[str]:
    """70/15/15 of train, val and test for so many images, by a fixed seed."""
    val, test = (int(count * _FOLDER_SHARES[name]) for name in ("val", "test"))
    splits = ["val"] * val + ["test"] * test + ["train"] * (count - val - test)
    random.Random(_FOLDER_SEED).shuffle(splits)
    return splits


def _over_volumes(volumes: Sequence[Sequence[Sample | ArraySample]], count: int) -> set[str]:
    """Names of ``count`` samples: shares of the volumes as even as can be, each spread over its depth.

    Pictures are volumes of one plane, so of a set of pictures these are evenly spaced ones.
    """
    if count <= len(volumes):
        picked = np.linspace(0, len(volumes) - 1, count).round().astype(int)
        # One plane each, from another depth in every volume.
        depths = [(rank + 0.5) / count for rank in range(count)]
        return {volumes[v][int(depth * len(volumes[v]))].name for v, depth in zip(picked, depths, strict=True)}
    shares = _shares([len(volume) for volume in volumes], count)
    return {
        volume[int((place + 0.5) * len(volume) / share)].name
        for volume, share in zip(volumes, shares, strict=True)
        for place in range(share)
    }


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """``count`` dealt out one at a time, round after round, to whoever has planes left."""
    shares = [0] * len(sizes)
    while count > 0:
        open_ones = [index for index, size in enumerate(sizes) if shares[index] < size]
        if len(open_ones) > count:
            picked = np.linspace(0, len(open_ones) - 1, count).round().astype(int)
            open_ones = [open_ones[index] for index in picked]
        for index in open_ones:
            shares[index] += 1
        count -= len(open_ones)
    return shares


def _file_digest(path: Path) -> bytes:
    """Of a file's bytes, or of the bytes of a series' files in the order of their names."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).digest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.iterdir() if p.is_file()):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def _require_utf8(path: Path) -> None:
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        shown = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise InputError(f"{path.parent}/{shown}: its name is not UTF-8; rename it, for instance with convmv") from None


def _require_unique_names(where: Path, cases: Sequence[Case]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise InputError(f"{where}: two images are called {case.name!r}; rename one")
        seen.add(case.name)
