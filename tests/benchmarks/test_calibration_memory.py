"""Calibration's memory does not grow with the number of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.calibration_memory import MOST_GROWTH, measure
from tests.fixtures.discs import TASK, disc_network, write_discs


@pytest.mark.slow
def test_2000_images_take_no_more_memory_than_64(tmp_path: Path) -> None:
    # Kept, 2000 inputs of this size would be 220 MB, as much as the whole process.
    model = disc_network(replace(TASK, size=(96, 96))).save(tmp_path / "discs.onnx")
    data = write_discs(tmp_path / "discs", {"train": 8})
    few, many = measure(str(model), data, (64, 2000))
    assert (few.images, many.images) == (64, 2000)
    assert 50 < few.megabytes < many.megabytes * 1.05
    assert many.megabytes <= MOST_GROWTH * few.megabytes
