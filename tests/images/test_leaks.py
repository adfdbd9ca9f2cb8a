"""Leaks: copies that are not equal to the pixel, patients in two splits, and what an accepted overlap costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.images.image_set import ImageSet, load_image_set
from edge.images.leaks import Purposes, require_apart, require_disjoint
from tests.fixtures.command import edge
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.volumes import blob_volume, write_nifti

pytestmark = pytest.mark.usefixtures("without_plots")

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


@pytest.mark.slow
def test_the_command_names_copies_and_the_report_counts_them(tmp_path: Path) -> None:
    data = write_discs(tmp_path / "discs", {"train": 4, "val": 2, "test": 4})
    lines = (data / "manifest.csv").read_text().splitlines()
    rng = np.random.default_rng(5)
    for number in range(8):  # pictures with more to them than a disc, four of them twice
        pixels = np.asarray(Image.fromarray(rng.integers(0, 255, (5, 5, 3), np.uint8)).resize((32, 32)))
        Image.fromarray(pixels).save(data / f"p{number}.png")
        Image.fromarray(np.uint8(pixels[..., 0] > 128) * 255).save(data / f"m{number}.png")
        lines.append(f"p{number}.png,m{number}.png,{'train' if number < 4 else 'val'}")
        if number < 4:
            Image.fromarray(pixels).save(data / f"copy{number}.jpg", quality=95)
            lines.append(f"copy{number}.jpg,m{number}.png,test")
    (data / "manifest.csv").write_text("\n".join(lines) + "\n")
    disc_network().save(tmp_path / "net.onnx")
    words = ("--precisions", "fp32", "--gate", "none", "--allow-small", "--seconds", "0.02", "--budget", "1")
    done = edge("deploy", tmp_path / "net.onnx", "--data", data, "--out", tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr
    for number in range(3):
        assert f"copy{number}.jpg (evaluation) looks like {data}/p{number}.png (training)" in done.stderr
    assert "1 more images look like one of another split" in done.stderr
    notes = json.loads((tmp_path / "run" / "report.json").read_text())["notes"]
    (told,) = [note for note in notes if "look like" in note]
    assert told.startswith("4 images look like one of another split") and "copy" not in told.replace("copies", "")
    for name in ("report.html", "report.md"):
        assert "4 images look like one of another split" in (tmp_path / "run" / name).read_text()
