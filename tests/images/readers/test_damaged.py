"""Three hundred damaged DICOM, NIfTI, TIFF and NumPy files, made from a seed: one sentence each, never a traceback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from edge.errors import InputError
from edge.images.readers import open_image, open_mask
from tests.fixtures.volumes import AXIAL, write_dicom, write_nifti

VALUES = np.random.default_rng(1).integers(-1000, 3000, (6, 12, 10)).astype(np.int16)
GEOMETRY = {
    "ImagePositionPatient": [0.0, 0.0, 0.0],
    "ImageOrientationPatient": [*AXIAL[0], *AXIAL[1]],
    "PixelSpacing": [1, 1],
}
EACH = 43  # of each of the seven kinds: 301 files


def write(path: Path) -> Path:
    """A sound file of the kind that its name says."""
    if path.name.endswith((".nii", ".nii.gz")):
        return write_nifti(path, VALUES, np.diag([0.8, 0.8, 2.0, 1.0]))
    if path.suffix == ".dcm":
        return write_dicom(path, VALUES[0], GEOMETRY)
    if path.suffix == ".tif":
        tifffile.imwrite(path, VALUES, compression="zlib" if "zlib" in path.name else None)
    elif path.suffix == ".npy":
        np.save(path, VALUES[0])
    else:
        np.savez_compressed(path, VALUES[0])
    return path


def damaged(whole: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """The file cut short, its head or body changed, a stretch repeated or left out."""
    for step in range(EACH):
        data = bytearray(whole)
        if step % 4 == 0:
            data = data[: int(rng.integers(0, len(data)))]
        elif step % 4 == 1:
            for index in rng.integers(0, min(len(data), 400), 6):
                data[index] = int(rng.integers(0, 256))
        elif step % 4 == 2:
            for index in rng.integers(0, len(data), 12):
                data[index] ^= int(rng.integers(1, 256))
        else:
            first, length = int(rng.integers(0, len(data))), int(rng.integers(1, 64))
            data[first : first + length] = data[first : first + length] * int(rng.integers(0, 3))
        yield bytes(data)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.dcm", "x.tif", "zlib.tif", "x.npy", "x.npz"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    refused = 0
    for data in damaged(path.read_bytes(), np.random.default_rng(len(name))):
        path.write_bytes(data)
        for opener in (open_image, open_mask):
            try:
                stack = opener(path)
                for plane in range(min(stack.depth, 3)):
                    stack.read(plane)
                stack.close()
            except InputError as error:
                refused += 1
                assert str(error).startswith(str(path)) and "\n" not in str(error).strip()
    assert refused > EACH // 4


def test_a_packed_volume_inflates_to_no_more_than_the_limit(tmp_path: Path) -> None:
    from edge.safety.limits import Limits, limited

    path = tmp_path / "bomb.nii.gz"
    whole = write_nifti(tmp_path / "x.nii", np.zeros((64, 64, 64), np.int16), np.eye(4)).read_bytes()
    path.write_bytes(gzip.compress(whole))
    with limited(Limits(inflated_bytes=100_000)), pytest.raises(InputError, match=r"bomb\.nii\.gz: inflates further"):
        open_image(path).read(0)
