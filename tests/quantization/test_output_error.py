"""A gain in decibels counts where it is larger than the least that pays and than what so few images leave to chance."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.onnxruntime import optimized, reference
from edge.backends.session import OnnxRuntimeRunner
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.output_error import OutputError, gains
from edge.quantization.ranges import TensorRange
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from tests.fixtures.small_unet import images, small_unet


@pytest.mark.parametrize(
    ("kept", "tried", "better"),
    [
        ([20.0, 21.0, 22.0, 23.0], [21.0, 22.0, 23.1, 23.9], True),
        ([20.0, 21.0, 22.0, 23.0], [20.2, 21.2, 22.2, 23.2], False),  # too little
        ([20.0, 21.0, 22.0, 23.0], [19.0, 20.0, 21.0, 22.0], False),
        ([18.7, 27.9, 25.6, 25.6], [27.1, 30.7, 18.5, 31.2], False),  # LANet: 2.5 dB here, -1.7 dB on the test images
        ([20.0], [21.0], True),
    ],
)
def test_a_gain_counts_beyond_the_least_and_beyond_chance(kept: list[float], tried: list[float], better: bool) -> None:
    assert gains(np.array(tried), np.array(kept)) is better


def test_every_image_has_its_own_decibels() -> None:
    model, scheme, held = small_unet(), SCHEMES["tensorrt"], images(3, "val")
    ranges = calibrate(model, images(4))
    graph = quantize(model, ranges, plan_int8(model, scheme), scheme)
    expected = [clipped_sqnr_db(reference(model).run(one), reference(graph).run(one), model.task) for one in held]
    np.testing.assert_allclose(OutputError(model, scheme, held).db(ranges), expected, atol=0.5)


def test_a_choice_that_loses_on_the_first_images_is_not_run_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    held = images(8)
    output = OutputError(small_unet(), SCHEMES["tensorrt"], held)
    ranges = calibrate(small_unet(), held[:4], method="min-max")
    wide = replace(ranges, tensors={name: _wider(found) for name, found in ranges.tensors.items()})
    ran: list[int] = []

    def counted(model: Model) -> OnnxRuntimeRunner:
        ran.append(0)
        runner = optimized(model)
        return cast(OnnxRuntimeRunner, SimpleNamespace(run=lambda image: (_count(ran), runner.run(image))[1]))

    monkeypatch.setattr("edge.quantization.output_error.optimized", counted)
    assert output.gained(wide, output.db(ranges)) is None and ran == [8, 3]
    assert output.gained(ranges, output.db(wide)) is output.db(ranges) and ran == [8, 3, 8]


def _count(ran: list[int]) -> None:
    ran[-1] += 1


def _wider(found: TensorRange) -> TensorRange:
    coarse, fine = (replace(clip, amax=8 * clip.amax) for clip in (found.coarse, found.fine))
    return replace(found, coarse=coarse, fine=fine)
