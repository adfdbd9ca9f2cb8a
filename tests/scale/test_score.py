"""``edge check --scheduler``: what two workers count is what one process counts, and little of it comes back."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.images.image_set import load_image_set
from edge.scale.score import Networks, chunks, score
from tests.fixtures.command import edge
from tests.fixtures.discs import TASK, disc_network, write_disc_case


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_disc_case(tmp_path_factory.mktemp("score"))
    for precision in ("fp32", "int8"):
        line = ("build", "discs.onnx", "--data", "discs", "--target", "cpu", "--precision", precision)
        assert edge(*line, "--out", precision, folder=root).returncode == 0
    return root


def told(place: Path, *words: str) -> Any:
    done = edge("check", *words, "--data", "discs", "--json", folder=place)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_two_workers_count_what_one_process_counts(
    place: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.scale.score.CHUNK", 5)
    engines = ("fp32", "int8", "--reference", "discs.onnx", "--strata", "modality")
    near, far = told(place, *engines), told(place, *engines, "--scheduler", scheduler)
    assert near[1]["accuracy"]["sqnr_db"] < 60 and near[1]["accuracy"]["hd95"] is not None
    assert far == near
    assert told(place, "discs.onnx", "--scheduler", scheduler) == told(place, "discs.onnx")


@pytest.mark.slow
def test_a_fault_on_a_worker_is_its_sentence(place: Path, scheduler: str) -> None:
    shutil.copytree(place / "discs", place / "odd")
    damaged = place / "odd" / "images" / "test05.png"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    near, far = (
        edge("check", "discs.onnx", "--data", str(place / "odd"), *more, "--quiet", folder=place)
        for more in ((), ("--scheduler", scheduler))
    )
    assert (near.returncode, far.returncode) == (2, 2) and "test05.png" in near.stderr and far.stderr == near.stderr


@pytest.mark.slow
def test_what_comes_back_does_not_grow_with_the_images(place: Path) -> None:
    images = load_image_set(place / "discs").split("test")
    (chunk,) = chunks(images, frozenset())
    sizes = [
        len(pickle.dumps(score(pickle.loads(pickle.dumps(chunk)), Networks(model, ()))))
        for model in (disc_network(), disc_network(replace(TASK, size=(96, 96))))
    ]
    assert sizes[0] == sizes[1] < 24 * 700
