"""All tensors are clipped by least squares where the network's output gains by it, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.quantization.calibrate import calibrate
from edge.quantization.clip_sets import LEAST_SQUARES, better_clips, clipped_by
from edge.quantization.output_error import OutputError
from edge.quantization.ranges import COARSE, Clip, Ranges
from edge.quantization.schemes import SCHEMES
from tests.fixtures.small_unet import images, small_unet


@pytest.fixture(scope="module")
def output() -> OutputError:
    return OutputError(small_unet(), SCHEMES["tensorrt"], images(3, "val"))


def _with_least_squares(ranges: Ranges, factor: float) -> Ranges:
    """Min-max clips, least-squares candidates so many times as large."""

    def clip(old: Clip) -> Clip:
        return replace(old, candidates={**old.candidates, LEAST_SQUARES: factor * old.amax})

    return replace(
        ranges, tensors={n: replace(t, coarse=clip(t.coarse), fine=clip(t.fine)) for n, t in ranges.tensors.items()}
    )


def test_the_set_of_less_error_at_the_output_is_taken(output: OutputError) -> None:
    ranges = calibrate(small_unet(), images(4), method="min-max")
    worse, wide = _with_least_squares(ranges, 8.0), clipped_by(_with_least_squares(ranges, 8.0), LEAST_SQUARES)
    assert (output.db(wide) < output.db(ranges) - 10.0).all()  # steps eight times as large are 18 dB
    assert better_clips(worse, output) is worse
    better = better_clips(_with_least_squares(wide, 1 / 8), output)
    assert {found.coarse.method for found in better.tensors.values()} == {LEAST_SQUARES}
    amax = [found.clip(COARSE).amax for found in better.tensors.values()]
    np.testing.assert_allclose(amax, [found.clip(COARSE).amax for found in ranges.tensors.values()])


def test_a_gain_within_noise_leaves_the_choice_of_the_trials(output: OutputError) -> None:
    ranges = _with_least_squares(calibrate(small_unet(), images(4), method="min-max"), 1.0001)
    assert better_clips(ranges, output) is ranges


def test_a_tensor_of_zeros_has_no_candidates_and_stays() -> None:
    ranges = calibrate(small_unet(), images(2), method="min-max")
    silent = replace(ranges["relu"], coarse=Clip(0.0, "min-max"), fine=Clip(0.0, "min-max"))
    clipped = clipped_by(replace(ranges, tensors={**ranges.tensors, "relu": silent}), LEAST_SQUARES)
    assert clipped["relu"] == silent
