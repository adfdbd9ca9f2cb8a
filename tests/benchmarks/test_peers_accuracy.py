"""What peers are told and how their evaluations are counted; no peer is built here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.accuracy import full_evaluations, read_evaluations, validation
from benchmarks.peers.arguments import environment_python
from benchmarks.precision import table
from edge.backends.onnxruntime import reference
from tests.fixtures.discs import disc_network, write_discs


def test_every_call_of_the_validation_function_is_counted_by_its_images(tmp_path: Path) -> None:
    source = disc_network().save(tmp_path / "source.onnx")
    data = write_discs(tmp_path / "discs", {"train": 2, "val": 4, "test": 2})
    log = tmp_path / "evaluations.jsonl"
    validate, samples = validation(source, data, log)
    run = reference(disc_network()).run

    def compiled(batch: np.ndarray) -> list[np.ndarray]:
        return [run(batch)]

    mean, each = validate(compiled, samples)
    assert len(each) == len(samples) == 4 and mean == pytest.approx(np.mean(each)) and mean > 0.9
    assert validate(compiled, samples[1:2])[0] == pytest.approx(each[1])
    asked = read_evaluations(log)
    assert [(row.images, row.of) for row in asked] == [(4, 4), (1, 4)]
    assert full_evaluations(asked) == 1.25
    assert read_evaluations(tmp_path / "missing.jsonl") == []


def test_an_environment_is_named_with_its_interpreter() -> None:
    assert environment_python(f"nncf={sys.executable}") == ("nncf", sys.executable)
    for text in ("nncf", "nncf=/nowhere/python", f"other={sys.executable}", "nncf=/"):
        with pytest.raises(argparse.ArgumentTypeError, match="nncf or modelopt"):
            environment_python(text)


def test_a_peer_that_gave_no_engine_still_has_a_row() -> None:
    fine = {
        "ms": 2.0, "dice_retained": 0.9995, "agreement": 0.99, "passed": True, "error": None,
        "speedup": 1.5, "speedup_ci95": [1.4, 1.6], "evaluations": 7.4, "seconds": 41.0,
    }  # fmt: skip
    lost = {**fine, "error": "no answer within 5 s", "evaluations": 3.0, "seconds": None}
    lines = table({"net": {"chosen": "ours", "engines": {"ours": fine, "nncf": lost}}}).splitlines()
    assert lines[2] == "| net | **ours** | 0.9995 | 0.9900 | yes | 2.00 | 1.50 (1.40 to 1.60) | 7.4 | 41 |"
    assert lines[3] == "| net | nncf |  |  | no answer within 5 s |  |  | 3.0 |  |"
    assert {line.count("|") for line in lines[:4]} == {10}
