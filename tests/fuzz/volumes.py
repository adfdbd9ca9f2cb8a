"""Surfaces of volumes: DICOM files and series, NIfTI, TIFF stacks and arrays, as images and as masks."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import numpy as np
from PIL import Image

from edge.images.readers import open_image, open_mask
from edge.images.readers.stack import Layout
from tests.fixtures.volumes import blob_volume, write_nifti, write_series
from tests.fuzz.mutate import mutated_bytes
from tests.fuzz.surface import Surface

_HEAD = 700
_GZIP = b"\x1f\x8b"


def surfaces(place: Path) -> list[Surface]:
    """Doors of volumes."""
    values, mask = blob_volume(4, 16)
    write_series(place / "series", values[:2])
    slices = {path.name: path.read_bytes() for path in (place / "series").iterdir()}
    first = min(slices)
    nifti = write_nifti(place / "a.nii", values, np.eye(4)).read_bytes()
    labels = write_nifti(place / "b.nii", mask, np.eye(4)).read_bytes()
    masks = {"b.nii": labels, "c.tif": _tiff(mask), "d.npy": _array(mask[1])}
    stacks = {"c.tif": _tiff(values), "d.npy": _array(values[0]), "e.npz": _arrays(values[0])}
    images = {"a.nii": nifti, "a.nii.gz": gzip.compress(nifti), "f.dcm": slices[first]}
    return [
        Surface("volumes", 6, {**images, **stacks}, mutated_volume, _read_image),
        Surface("masks of volumes", 3, masks, mutated_volume, _read_mask),
        Surface(
            "a slice of a series",
            3,
            {first: slices[first]},
            mutated_volume,
            lambda path: _read_image(path.parent),
            place / "series",
        ),
    ]


def mutated_volume(data: bytes, rng: random.Random) -> bytes:
    """Mostly its head, where all that can go wrong is said; a compressed file's contents as often as its bytes."""
    if data.startswith(_GZIP) and rng.random() < 0.6:
        return gzip.compress(mutated_volume(gzip.decompress(data), rng), 1)
    if rng.random() < 0.7:
        return mutated_bytes(data[:_HEAD], rng) + data[_HEAD:]
    return mutated_bytes(data, rng)


def _read_image(path: Path) -> object:
    stack = open_image(path, Layout())
    try:
        return [stack.read(index).values.sum() for index in range(min(stack.depth, 3))]
    finally:
        stack.close()


def _read_mask(path: Path) -> object:
    stack = open_mask(path, Layout())
    try:
        return [stack.read(index).values.max() for index in range(min(stack.depth, 3))]
    finally:
        stack.close()


def _tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    pages = [Image.fromarray(page.astype(np.uint8)) for page in values]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return stream.getvalue()


def _array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _arrays(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, image=values)
    return stream.getvalue()
