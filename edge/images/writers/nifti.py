"""Masks of NIfTI volumes: the same shape, affine and codes as the image's."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge.images.grid import View
from edge.images.readers.extra import medical
from edge.images.readers.nifti import read_geometry
from edge.images.writers.mask import Mask

_SLOWEST = 2  # of a file's axes x, y, z


def write(mask: Mask, destination: Path) -> None:
    """Write the volume, in the image's own order of voxels, packed; plane by plane where the file lies so.

    There is no time in it, so that the same mask is the same file.
    """
    nibabel = medical("nibabel", mask.source)
    header, view = read_geometry(mask.source, mask.axis)
    head = _head(nibabel, mask.source, header.shape)
    with destination.open("wb") as stream, gzip.GzipFile("", "wb", 1, stream, mtime=0) as packed:
        packed.write(head)
        for part in _stored(mask, view):
            packed.write(part)


def _head(nibabel: Any, source: Path, shape: tuple[int, int, int]) -> bytes:
    """Everything before the voxels, as nibabel writes it."""
    with nibabel.imageglobals.LoggingOutputSuppressor():
        image = nibabel.load(source)
        voxel = nibabel.Nifti1Image(np.zeros((1, 1, 1), np.uint8), image.affine, dtype=np.uint8)
        voxel.header.set_xyzt_units(*image.header.get_xyzt_units())
        voxel.set_sform(image.header.get_sform(), int(image.header["sform_code"]))
        voxel.set_qform(image.header.get_qform(), int(image.header["qform_code"]))
        written = voxel.to_bytes()[:-1]
        header = nibabel.Nifti1Header(written[: nibabel.Nifti1Header.sizeof_hdr])
        header.set_data_shape(shape)
    return bytes(header.binaryblock) + written[nibabel.Nifti1Header.sizeof_hdr :]


def _stored(mask: Mask, view: View) -> Iterator[bytes]:
    """The voxels as they lie in the file, the first axis varying fastest."""
    depth = len(mask.values)
    if view.order[0] != _SLOWEST:
        yield view.store(np.stack(list(mask.values))).tobytes(order="F")
        return
    for index in range(depth):
        shown = mask.values[view.stored_index(index, depth)]
        yield view.store_plane(shown).tobytes(order="F")
