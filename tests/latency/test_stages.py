from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.backends.runner import Timing
from edge.errors import InputError
from edge.images.image_set import load_image_set
from edge.latency.stages import image_to_mask
from tests.fixtures.small_unet import ROOT, TASK

IMAGES = [sample.image for sample in load_image_set(ROOT / "calibration/dsb2018").split("val").spread(3)]


def test_every_step_of_a_real_engine_is_timed(runner) -> None:
    found = image_to_mask(runner, TASK, IMAGES, seconds=0.2)
    steps = [found.decode, found.preprocess, found.compute, found.postprocess]
    assert all(step > 0 for step in steps)
    assert (found.copy_in, found.copy_out) == (None, None)
    assert max(steps) <= found.total <= found.p90
    assert found.images == 3
    assert found.rounds >= 5


class Device:
    """An engine on a device, whose clock says 1, 2 and 3 ms."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch[:, :1]

    def time(self, batch: np.ndarray) -> Timing:
        assert batch.shape == (1, 3, 64, 64)
        return Timing(9.0, {"h2d": 1.0, "gpu": 2.0, "d2h": 3.0})


def test_a_device_tells_its_copies_from_its_computation() -> None:
    found = image_to_mask(Device(), TASK, IMAGES[:1], seconds=0.0)
    assert (found.copy_in, found.compute, found.copy_out) == (1.0, 2.0, 3.0)
    assert found.total >= 6.0
    assert found.rounds == 5


def test_what_cannot_be_timed(runner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images to time"):
        image_to_mask(runner, TASK, [])
    with pytest.raises(InputError, match=r"x\.png: no such image"):
        image_to_mask(runner, TASK, [tmp_path / "x.png"])
