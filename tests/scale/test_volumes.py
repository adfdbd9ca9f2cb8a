"""Volumes in millimetres on Dask workers: a check and a sweep find what one process finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.scale.sweep import TABLE
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.command import edge
from tests.fixtures.discs import SIZE, disc_network
from tests.fixtures.volumes import blob_volume, write_nifti
from tests.scale.test_sweep import matrix, numbers

TASK = SegmentationTask(size=(SIZE, SIZE), scale=1.0, intensity=Intensity(window=(50.0, 200.0)), classes=("ball",))
SPLITS = ("train", "val", "test", "test", "test", "test")
DEPTHS = (8, 8, 8, 6, 11, 5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NIfTI scans of several depths and spacings, a network, its engines, and a matrix."""
    root = tmp_path_factory.mktemp("volumes")
    disc_network(TASK).save(root / "net.onnx")
    rows = ["image,mask,split"]
    for number, (split, depth) in enumerate(zip(SPLITS, DEPTHS, strict=True)):
        affine = np.diag([-0.8, -0.9, 2.0 + number / 4, 1.0])
        for name, values in zip(("p", "m"), blob_volume(depth, 40, number), strict=True):
            write_nifti(root / "scans" / f"{name}{number}.nii.gz", values.transpose(2, 1, 0), affine)
        rows.append(f"p{number}.nii.gz,m{number}.nii.gz,{split}")
    (root / "scans" / "manifest.csv").write_text("\n".join(rows) + "\n")
    (root / "sweep.toml").write_text(matrix("scans", "net.onnx"))
    for precision in ("fp32", "int8"):
        words = ("build", "net.onnx", "--data", "scans", "--target", "cpu", "--precision", precision)
        assert edge(*words, "--out", precision, folder=root).returncode == 0
    return root


def told(place: Path, *words: str) -> Any:
    line = ("check", "fp32", "int8", "--reference", "net.onnx", "--gate", "99", "--data", "scans", "--json")
    done = edge(*line, *words, folder=place)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_workers_started_here_score_volumes_as_one_process_does(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.scale.score.CHUNK", 5)  # below a volume's slices, which stay together all the same
    near, far = told(place), told(place, "--scheduler", "local:2")
    assert far == near
    for row in near:
        cases = row["accuracy"]["cases"]["rows"]
        assert [case["images"] for case in cases] == [8, 6, 11, 5]
        assert row["accuracy"]["hd95"]["unit"] == "mm" and all(case["hd95"] is not None for case in cases)
    assert near[1]["accuracy"]["sqnr_db"] < 60 < near[0]["accuracy"]["sqnr_db"]


@pytest.mark.slow
def test_a_sweep_over_volumes_finds_what_one_process_finds(place: Path, scheduler: str) -> None:
    for out, more in (("near", ()), ("far", ("--scheduler", scheduler))):
        done = edge("sweep", "sweep.toml", "--out", out, *more, folder=place)
        assert done.returncode == 0, done.stderr
    far, near = (json.loads((place / out / TABLE).read_text())["rows"] for out in ("far", "near"))
    assert [row["gate"] for row in far] == ["99", "99.9"] and list(map(numbers, far)) == list(map(numbers, near))
    reports = [json.loads((place / out / far[0]["folder"] / "report.json").read_text()) for out in ("far", "near")]
    cases = [{row["name"]: row["accuracy"]["cases"] for row in report["engines"]} for report in reports]
    assert cases[0] == cases[1] and cases[0]["fp32"]["dice"] > 0.9
