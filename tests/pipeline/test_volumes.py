"""Volumes from end to end, by the commands that users type: deploy, check, calibrate, bundle and segment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from edge.images.image_set import load_image_set
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.command import edge
from tests.fixtures.discs import SIZE, disc_network
from tests.fixtures.sunnybrook import write_sunnybrook
from tests.fixtures.volumes import RAS_TO_LPS, blob_volume, write_nifti, write_series

pytestmark = pytest.mark.usefixtures("without_plots")

ROOT = Path(__file__).resolve().parents[2]
TASK = SegmentationTask(size=(SIZE, SIZE), scale=1.0, intensity=Intensity(window=(50.0, 200.0)), classes=("ball",))
SPLITS = ("train", "train", "val", "test", "test", "test")
DEPTH = 8
FAST = ("--precisions", "fp32,int8", "--seconds", "0.02", "--budget", "1")


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def volumes() -> list[tuple[np.ndarray, np.ndarray]]:
    """CT-like volumes of 12 bits in Hounsfield units, and their masks."""
    return [blob_volume(DEPTH, 40, number) for number in range(len(SPLITS))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same patients as NIfTI, and with the images as DICOM series of 12 stored bits."""
    root = tmp_path_factory.mktemp("volumes")
    disc_network(TASK).save(root / "net.onnx")
    for number, (values, mask) in enumerate(volumes()):
        stored = (values.clip(-1024, 3071) + 1024).astype(np.uint16)
        tags = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1, "RescaleIntercept": -1024}
        affine = write_series(root / f"dicom/p{number}", stored, spacing=(0.8, 0.9), gap=2.5, **tags)
        ras = (RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]]
        for folder in ("nifti", "dicom"):
            write_nifti(root / folder / f"m{number}.nii.gz", mask.transpose(2, 1, 0), ras)
        write_nifti(root / f"nifti/p{number}.nii.gz", values.transpose(2, 1, 0), ras)
    for folder, suffix in (("nifti", ".nii.gz"), ("dicom", "")):
        rows = [f"p{n}{suffix},m{n}.nii.gz,{split}" for n, split in enumerate(SPLITS)]
        (root / folder / "manifest.csv").write_text("image,mask,split\n" + "\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    done = edge("deploy", place / "net.onnx", "--data", place / "nifti", "--out", place / "run", *FAST)
    assert done.returncode == 0, done.stderr
    return place / "run"


@pytest.mark.slow
def test_a_deployment_scores_slices_and_cases_in_millimetres(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["data"]["evaluation"]["images"] == 3 * DEPTH
    for row in report["engines"]:
        accuracy = row["accuracy"]
        assert accuracy["resampled_by"] == "volume" and accuracy["units"] == 3
        assert accuracy["hd95"]["unit"] == "mm" and 0 <= accuracy["hd95"]["nsd"] <= 1
        cases = accuracy["cases"]
        assert [(c["name"], c["images"]) for c in cases["rows"]] == [(f"p{n}", DEPTH) for n in (3, 4, 5)]
        assert cases["dice"] == pytest.approx(np.mean([c["dice"] for c in cases["rows"]]))
        assert cases["dice"] > 0.9
    assert "By volume" in (run / "report.html").read_text()


@pytest.mark.slow
def test_dicom_scores_as_nifti_does(place: Path, run: Path) -> None:
    words = ("check", run / "engines/fp32", "--reference", place / "net.onnx", "--gate", "99", "--json", "--data")
    (nifti,), (dicom,) = (said(edge(*words, place / folder)) for folder in ("nifti", "dicom"))
    ours, theirs = dicom["accuracy"], nifti["accuracy"]
    for key in ("dice", "iou", "agreement", "sqnr_db", "parity_db", "worst"):
        assert ours[key] == theirs[key], key
    assert ours["hd95"]["mean"] == pytest.approx(theirs["hd95"]["mean"], rel=1e-6)  # NIfTI keeps spacing in float32
    for one, other in zip(ours["cases"]["rows"], theirs["cases"]["rows"], strict=True):
        assert one.pop("name") == other.pop("name")
        assert one == pytest.approx(other, rel=1e-6) and one["hd95"] is not None


def test_a_window_in_the_task_is_a_window_by_hand(place: Path, run: Path, tmp_path: Path) -> None:
    """The network itself on the slices windowed by hand to float32, in numpy, gives the masks of the engine."""
    from edge.backends.onnxruntime import reference

    done = edge("segment", run / "engines/fp32", place / "nifti/p3.nii.gz", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    mask = nibabel.load(tmp_path / "p3.nii.gz")
    np.testing.assert_array_equal(mask.affine, nibabel.load(place / "nifti/p3.nii.gz").affine)
    ours = np.asarray(mask.dataobj).transpose(2, 1, 0)
    plain = SegmentationTask(size=(40, 40), scale=1.0, intensity=Intensity(range=(0.0, 1.0)), classes=("ball",))
    by_hand = ((volumes()[3][0].astype(np.float64) + 50) / 200).clip(0, 1).astype(np.float32)
    task = SegmentationTask(size=TASK.size, scale=1.0, intensity=plain.intensity, classes=("ball",))
    network = reference(disc_network(TASK))
    for index, values in enumerate(by_hand):
        np.testing.assert_array_equal(ours[index], task.segment(network.run, values))


def test_without_a_word_on_12_bits_the_task_refuses_with_the_line_to_paste(place: Path, tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('[task]\nsize = [32, 32]\nclasses = ["ball"]\n')
    done = edge("check", place / "net.onnx", "--data", place / "nifti", "--task", tmp_path / "task.toml")
    assert done.returncode == 2
    assert "p3.nii.gz (slice 0): holds int16" in done.stderr
    assert "add to its task: [task.intensity]" in done.stderr


def test_calibration_and_a_bundle_take_them_too(place: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "ranges.json"
    done = edge("calibrate", place / "net.onnx", "--data", place / "dicom", "--calibration-images", 6, "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["images"] == 6
    bundle = tmp_path / "kit.tar.gz"
    done = edge("bundle", run, "--target", "cpu", "--data", place / "nifti", "--allow-small", "--out", bundle)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_patient_in_two_splits_is_refused_by_the_command(place: Path) -> None:
    rows = (place / "nifti/manifest.csv").read_text().splitlines()
    patients = ["a", "b", "c", "d", "e", "a"]
    odd = place / "nifti/manifest.csv"
    kept = odd.read_text()
    odd.write_text("\n".join([rows[0] + ",patient", *(f"{r},{p}" for r, p in zip(rows[1:], patients, strict=True))]))
    try:
        done = edge("deploy", place / "net.onnx", "--data", place / "nifti", "--out", place / "no", *FAST)
        assert done.returncode == 2 and "patient a is for training" in done.stderr
        words = ("--allow-overlap", "--out", place / "overlap", *FAST)
        done = edge("deploy", place / "net.onnx", "--data", place / "nifti", *words)
        assert done.returncode == 0, done.stderr
    finally:
        odd.write_text(kept)
    notes = " ".join(json.loads((place / "overlap/report.json").read_text())["notes"])
    assert "8 of 24 images of the verdict are of patients or volumes" in notes


@pytest.mark.slow
def test_the_committed_checkpoint_scores_cardiac_volumes_per_case(tmp_path: Path) -> None:
    """Sunnybrook's slices, stacked by patient and written as NIfTI, give the scores that the pictures give."""
    from edge.accuracy.compare import compare
    from edge.accuracy.evaluate import evaluate
    from edge.backends.onnxruntime import reference
    from edge.loading import load_model

    pictures = load_image_set(ROOT / "calibration/sunnybrook").split("test")
    values = np.stack([sample.pixels() for sample in pictures])
    masks = np.stack([np.asarray(Image.open(sample.case.masks[0])) // 255 for sample in pictures])
    for kind, array in (("image", values), ("mask", masks)):
        write_nifti(tmp_path / f"{kind}.nii.gz", array.transpose(2, 1, 0), np.diag([-1.4, -1.4, 9.0, 1.0]))
    (tmp_path / "manifest.csv").write_text("image,mask,split\nimage.nii.gz,mask.nii.gz,test\n")
    model = load_model(f"{ROOT}/models/litenext@sunnybrook")
    network = reference(model)
    one, other = (evaluate(network.run, images, model.task) for images in (pictures, load_image_set(tmp_path)))
    by_patient, by_volume = (compare(found, found).cases for found in (one, other))
    assert by_patient is not None and by_volume is not None
    assert (by_patient.column, by_volume.column) == ("patient", "volume")
    assert by_patient.dice == by_volume.dice > 0.8
    assert other.spacings[0] == pytest.approx((1.4, 1.4), rel=1e-6)


@pytest.mark.slow
def test_a_checkpoint_trained_on_volumes_deploys_with_scores_per_case(tmp_path: Path) -> None:
    """Cardiac MR as NIfTI of 12 bits, a volume for each patient and phase, by the commands that users type."""
    data = write_sunnybrook(ROOT / "calibration/sunnybrook", tmp_path / "heart")
    words = ("--data", data, "--precisions", "fp32", "--gate", "99", "--allow-small", "--seconds", "0.02")
    done = edge("deploy", f"{ROOT}/models/litenext@sunnybrook-nifti", *words, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "run/report.json").read_text())["engines"]
    cases = row["accuracy"]["cases"]
    assert [(c["name"], c["images"]) for c in cases["rows"]] == [("SC-HF-I-6-diastole", 3), ("SC-HF-I-6-systole", 3)]
    assert all(c["dice"] > 0.7 and c["hd95"] > 0 and 0 < c["nsd"] <= 1 for c in cases["rows"])
    reference = ("--reference", f"{ROOT}/models/litenext@sunnybrook-nifti")
    done = edge("check", tmp_path / "run", "--data", data, *reference, "--gate", "99", "--allow-small")
    assert done.returncode == 0, done.stderr
    for case in cases["rows"]:
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(case["name"]))
        assert f"{case['dice']:.4f}" in line and f"{case['hd95']:.2f}" in line
