"""Leaks: copies that are not equal to the pixel, patients in two splits, and what an accepted overlap costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.images.image_set import ImageSet, load_image_set
from edge.images.leaks import Purposes, require_apart, require_disjoint
from tests.fixtures.volumes import blob_volume, write_nifti

ROOT = Path(__file__).parents[2]
NUCLEI = load_image_set(ROOT / "calibration/dsb2018")


def purposes(images: ImageSet) -> Purposes:
    return [(name, images.split(split)) for name, split in (("training", "train"), ("evaluation", "test"))]


def test_unrelated_pictures_of_one_kind_are_not_called_alike() -> None:
    assert require_disjoint(purposes(NUCLEI)) == ()


@pytest.mark.parametrize("change", ["jpeg", "pixel", "mirror", "upside down", "scale"])
def test_a_copy_that_was_changed_is_told_with_both_files(tmp_path: Path, change: str) -> None:
    for number, sample in enumerate(NUCLEI.split("train").spread(4)):
        Image.fromarray(sample.pixels()).save(tmp_path / f"train{number}.png")
    image = Image.open(tmp_path / "train2.png")
    if change == "jpeg":
        image.save(tmp_path / "copy.jpg", quality=95)
    elif change == "scale":
        image.resize((230, 210), Image.Resampling.BILINEAR).save(tmp_path / "copy.png")
    else:
        values = np.asarray(image).copy()
        values[7, 7] ^= 9
        turned = {"pixel": values, "mirror": values[:, ::-1], "upside down": values[::-1]}[change]
        Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "copy.png")
    copy = next(tmp_path.glob("copy.*")).name
    rows = [f"train{n}.png,,train" for n in range(4)] + [f"{copy},,test"]
    (tmp_path / "manifest.csv").write_text("image,mask,split\n" + "\n".join(rows) + "\n")
    (note,) = require_disjoint(purposes(load_image_set(tmp_path)))
    assert f"{copy} (evaluation) looks like" in note and "train2.png (training)" in note


def write(root: Path, rows: list[str], header: str = "image,mask,split,patient") -> ImageSet:
    for number in range(4):
        values, _ = blob_volume(6, 24, number)
        write_nifti(root / f"v{number}.nii", values.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    (root / "manifest.csv").write_text(header + "\n" + "\n".join(rows) + "\n")
    return load_image_set(root)


def test_a_patient_in_two_splits_is_refused_or_costs_something(tmp_path: Path) -> None:
    images = write(tmp_path, ["v0.nii,,train,p1", "v1.nii,,train,p2", "v2.nii,,test,p1", "v3.nii,,test,p3"])
    with pytest.raises(InputError, match=r"patient p1 is for training \(.*v0\.nii \(slice 0\)\) and for evaluation"):
        require_apart(purposes(images))
    (note,) = require_apart(purposes(images), allow=True)
    assert note.startswith("6 of 12 images of the verdict are of patients or volumes that calibration or the search")
    assert "p1" not in note
    apart = write(tmp_path, ["v0.nii,,train,p1", "v2.nii,,test,p3"])
    assert require_apart(purposes(apart)) == ()


def test_a_volume_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = ["v0.nii,,train,scan1", "v1.nii,,test,scan1"]
    with pytest.raises(InputError, match="volume scan1 is for training"):
        require_apart(purposes(write(tmp_path, rows, "image,mask,split,volume")))


def test_slices_of_air_are_nobodys(tmp_path: Path) -> None:
    images = write(tmp_path, ["v0.nii,,train,a", "v1.nii,,test,b"])
    air = np.full((24, 24, 6), -1000, np.int16)
    for number in (0, 1):
        values, _ = blob_volume(6, 24, number)
        air[..., 2] = values[3].T
        write_nifti(tmp_path / f"v{number}.nii", air, np.diag([-1.0, -1.0, 1.0, 1.0]))
    require_disjoint(purposes(images))
