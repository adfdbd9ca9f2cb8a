"""Image sets: real images with their masks, and which of them may be used for what."""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.pictures import SUFFIXES, read_image, read_mask
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from edge.images.arrays import ArraySample

SPLITS = ("train", "val", "test")
_FOLDER_SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
_FOLDER_SEED = 42


@dataclass(frozen=True)
class Sample:
    """One image and its mask, on disk.

    Attributes:
        name: the image's stem, unique in its set.
        image, mask: files; ``mask`` is None where the set has none for this image.
        split: train, val or test.
        columns: every further column of the manifest (patient, modality, ...).
    """

    name: str
    image: Path
    mask: Path | None
    split: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """The image's files."""
        return (self.image,)

    def content_sha256(self) -> bytes:
        """The hashes of both files' bytes, one after the other."""
        return b"".join(hashlib.sha256(p.read_bytes()).digest() if p else b"-" for p in (self.image, self.mask))

    def pixels(self) -> NDArray[np.uint8]:
        """Decode the image: ``[h, w]`` grey or ``[h, w, 3]`` RGB, uint8."""
        return read_image(self.image)

    def labels(self, task: SegmentationTask) -> NDArray[np.uint8]:
        """Decode the mask: ``[h, w]`` uint8 class indices (0 and 1 where the task has at most two classes).

        Raises:
            InputError: no mask, one that does not decode, or one with more levels than the task has classes.
        """
        if self.mask is None:
            raise InputError(f"{self.image}: has no mask; add one to the manifest or leave the image out")
        return read_mask(self.mask, task)

    def pair(self, task: SegmentationTask) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Decode image and mask, and make sure that they belong together.

        Raises:
            InputError: as :meth:`pixels` and :meth:`labels`, or a mask of another size than its image.
        """
        pixels, labels = self.pixels(), self.labels(task)
        if labels.shape != pixels.shape[:2]:
            (height, width), (image_height, image_width) = labels.shape[:2], pixels.shape[:2]
            raise InputError(
                f"{self.mask}: is {width}x{height} pixels, but its image is {image_width}x{image_height}; "
                "make them the same size"
            )
        return pixels, labels


@dataclass(frozen=True)
class ImageSet:
    """Images with masks. Iterates over its samples.

    Attributes:
        name: the folder's name.
        root: the folder.
        samples: in the order of the manifest.
        drawn: the folder names no splits, so they were drawn by a fixed seed.
    """

    name: str
    root: Path
    samples: tuple[Sample | ArraySample, ...]
    drawn: bool = False

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
        """At most ``count`` samples, evenly spaced over the set, so that no part of it is left out."""
        if count >= len(self):
            return self
        indices = np.linspace(0, len(self) - 1, count).round().astype(int)
        return ImageSet(self.name, self.root, tuple(self.samples[i] for i in indices))

    def digests(self) -> dict[str, str]:
        """SHA-256 of each image's decoded pixels and shape, by sample name."""
        return {sample.name: _pixel_digest(sample.pixels()) for sample in self.samples}

    def sha256(self) -> str:
        """One hash over the content of all images and masks, in order."""
        digest = hashlib.sha256()
        for sample in self.samples:
            digest.update(sample.content_sha256())
        return digest.hexdigest()


def load_image_set(root: Path) -> ImageSet:
    """Open a folder with ``manifest.csv``, or with ``images/`` and ``masks/`` of equal stems.

    Plain folders are split 70/15/15 by a fixed seed over the sorted stems.

    Raises:
        InputError: neither layout is there, or the manifest is wrong; the message names the line.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a folder with manifest.csv, or with images/ and masks/")
    if (root / "manifest.csv").is_file():
        return _from_manifest(root)
    if (root / "images").is_dir():
        return _from_folders(root)
    raise InputError(f"{root}: holds neither manifest.csv nor images/ and masks/; see the README for both layouts")


def require_disjoint(sets: Sequence[tuple[str, ImageSet]]) -> None:
    """Refuse images that appear, pixel for pixel, in more than one of the sets.

    Two equal images of one set are its own affair: blank slices are.

    Args:
        sets: purpose ("calibration", "evaluation", ...) and the set used for it.

    Raises:
        InputError: names both files.
    """
    seen: dict[str, tuple[str, Sample | ArraySample]] = {}
    for purpose, images in sets:
        for sample in images:
            digest = _pixel_digest(sample.pixels())
            other_purpose, other = seen.setdefault(digest, (purpose, sample))
            if other_purpose != purpose:
                raise InputError(
                    f"{sample.image}: the same picture as {other.image}, one for {purpose}, one for {other_purpose}; "
                    "keep it in one split only"
                )


def _pixel_digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _from_manifest(root: Path) -> ImageSet:
    manifest = root / "manifest.csv"
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            columns, rows = reader.fieldnames or (), [(reader.line_num, row) for row in reader]
    except PermissionError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
    for column in ("image", "mask", "split"):
        if column not in columns:
            raise InputError(f"{manifest}: no column {column!r}; the columns are image, mask, split and any more")
    samples = tuple(_manifest_sample(root, manifest, line, row) for line, row in rows)
    if not samples:
        raise InputError(f"{manifest}: lists no images; add a line for each")
    _require_unique_names(manifest, samples)
    return ImageSet(root.resolve().name, root, samples)


def _manifest_sample(root: Path, manifest: Path, line: int, row: Mapping[str, str]) -> Sample:
    if row["split"] not in SPLITS:
        raise InputError(f"{manifest}: line {line}: split {row['split']!r} is not one of {', '.join(SPLITS)}")
    image = _inside(root, manifest, line, row["image"])
    mask = _inside(root, manifest, line, row["mask"]) if row["mask"] else None
    columns = {k: v for k, v in row.items() if k not in ("image", "mask", "split") and k is not None}
    return Sample(image.stem, image, mask, row["split"], columns)


def _inside(root: Path, manifest: Path, line: int, name: str) -> Path:
    path = root / name
    if not path.is_file():
        raise InputError(f"{manifest}: line {line}: {name!r} is not there; correct the path or remove the line")
    return path


def _from_folders(root: Path) -> ImageSet:
    images = _pictures(root / "images")
    mask_folder = root / "masks"
    if not mask_folder.is_dir():
        raise InputError(f"{root}: has images/ but no masks/; put one mask of the same stem there for each image")
    masks = {p.stem: p for p in reversed(_pictures(mask_folder))}
    if not images:
        raise InputError(f"{root / 'images'}: holds no {', '.join(SUFFIXES)} files; put the images there")
    lonely = next((p for p in images if p.stem not in masks), None)
    if lonely is not None:
        raise InputError(f"{lonely}: has no mask of the same stem in {mask_folder}; add it or remove the image")
    splits = seeded_splits(len(images))
    samples = tuple(
        Sample(image.stem, image, masks[image.stem], split) for image, split in zip(images, splits, strict=True)
    )
    _require_unique_names(root / "images", samples)
    return ImageSet(root.resolve().name, root, samples, drawn=True)


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def seeded_splits(count: int) -> list[str]:
    """70/15/15 of train, val and test for so many images, by a fixed seed."""
    val, test = (int(count * _FOLDER_SHARES[name]) for name in ("val", "test"))
    splits = ["val"] * val + ["test"] * test + ["train"] * (count - val - test)
    random.Random(_FOLDER_SEED).shuffle(splits)
    return splits


def _require_unique_names(where: Path, samples: Sequence[Sample]) -> None:
    seen: dict[str, Sample] = {}
    for sample in samples:
        if sample.name in seen:
            raise InputError(f"{where}: two images are called {sample.name!r}; rename one")
        seen[sample.name] = sample
