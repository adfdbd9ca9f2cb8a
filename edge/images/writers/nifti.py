"""Masks of NIfTI volumes: the same shape, affine and codes as the image's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.images.readers.extra import medical
from edge.images.readers.nifti import read_geometry
from edge.images.writers.mask import Mask


def write(mask: Mask, destination: Path) -> None:
    """Write the volume, in the image's own order of voxels, packed."""
    nibabel = medical("nibabel", mask.source)
    _, view = read_geometry(mask.source, mask.axis)
    with nibabel.imageglobals.LoggingOutputSuppressor():
        image = nibabel.load(mask.source)
        written = nibabel.Nifti1Image(np.ascontiguousarray(view.store(mask.values)), image.affine, dtype=np.uint8)
        written.header.set_xyzt_units(*image.header.get_xyzt_units())
        written.set_sform(image.header.get_sform(), int(image.header["sform_code"]))
        written.set_qform(image.header.get_qform(), int(image.header["qform_code"]))
        packed = written.to_bytes()
    with destination.open("wb") as stream:
        stream.write(_gzip(packed))


def _gzip(data: bytes) -> bytes:
    """Without a time in it, so that the same mask is the same file."""
    import gzip

    return gzip.compress(data, compresslevel=1, mtime=0)
