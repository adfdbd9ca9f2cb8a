"""Repeated deployments: what they chose is compared in one run, and a run that is there is not run again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import repeat
from benchmarks.repeat import Attempt, drawn, line, summary
from edge.images.image_set import load_image_set
from tests.fixtures.discs import write_disc_case


@pytest.mark.slow
def test_what_was_chosen_is_timed_again_and_not_deployed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_disc_case(tmp_path)
    words = ["discs.onnx", "--data", "discs", "--times", "1", "--seconds", "0.1", "--runs", "runs", "--out", "r.json"]
    monkeypatch.setattr(sys, "argv", ["repeat", *words])
    repeat.main()
    first = json.loads((tmp_path / "r.json").read_text())["networks"]["discs.onnx"]
    assert first["of"] == first["passed"] == 1 and sum(first["chosen"].values()) == 1
    assert all(one["together"] > 0 for one in first["attempts"]) and first["speed_spread"] == 0
    monkeypatch.setattr(repeat, "run_deploy", None)
    repeat.main()
    again = json.loads((tmp_path / "r.json").read_text())["networks"]["discs.onnx"]
    assert again["chosen"] == first["chosen"] and again["passed"] == 1


def test_a_draw_changes_the_calibration_images_alone(tmp_path: Path) -> None:
    write_disc_case(tmp_path)
    images = load_image_set(tmp_path / "discs")
    draws = [drawn(images, draw) for draw in range(4)]  # of fewer images than a deployment takes
    picked = [{sample.name for sample in one.split("train")} for one in draws]
    assert all(len(names) == 4 for names in picked) and len(set(map(frozenset, picked))) > 1
    assert [len(drawn(images, 0, count).split("train")) for count in (2, 64)] == [2, 4]
    assert all(one.split("test") == images.split("test") for one in draws)


def test_spreads_are_of_those_that_passed() -> None:
    attempts = [
        Attempt(0, "int8", 1.0, 0.30, 9.0, 0.40),
        Attempt(1, None, None, None, 9.0),
        Attempt(2, "mixed", 1.0, 0.36, 9.0, 0.41),
    ]
    row = summary(attempts)
    assert row["passed"] == 2 and row["of"] == 3
    assert row["speed_spread"] == pytest.approx(0.025) and row["reported_spread"] == pytest.approx(0.2)
    assert line("net", row) == "| net | 2 of 3 | 2.5 % | 20.0 % | int8 ×1, none ×1, mixed ×1 |"
