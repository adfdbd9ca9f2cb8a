"""Of several proposals for channels' steps the network gets the one of least error at its output, or none of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.backends.onnxruntime import Intermediates
from edge.quantization.calibrate import calibrate
from edge.quantization.channels import LEAST_REACH
from edge.quantization.output_error import OutputError
from edge.quantization.ranges import Ranges
from edge.quantization.refine import drop_what_does_not_help
from edge.quantization.schemes import SCHEMES
from tests.fixtures.small_unet import images, small_unet


@pytest.fixture(scope="module")
def output() -> OutputError:
    return OutputError(small_unet(), SCHEMES["openvino"], images(3, "val"))


@pytest.fixture(scope="module")
def ranges() -> Ranges:
    return calibrate(small_unet(), images(4), method="min-max")


def _with_channels(ranges: Ranges, divisor: float) -> Ranges:
    """The same magnitude for every channel."""
    values = Intermediates(small_unet(), list(ranges.tensors)).run(images(1)[0])
    tensors = {}
    for name, found in ranges.tensors.items():
        channels = (divisor,) * values[name].shape[1]
        coarse, fine = (replace(clip, channels=channels) for clip in (found.coarse, found.fine))
        tensors[name] = replace(found, coarse=coarse, fine=fine)
    return replace(ranges, tensors=tensors)


def test_the_proposal_of_least_error_is_kept_whatever_their_order(output: OutputError, ranges: Ranges) -> None:
    wide = replace(
        ranges,
        tensors={
            name: replace(
                found,
                coarse=replace(found.coarse, amax=4 * found.coarse.amax),
                fine=replace(found.fine, amax=4 * found.fine.amax),
            )
            for name, found in ranges.tensors.items()
        },
    )
    half, quarter = _with_channels(wide, 0.5), _with_channels(wide, 0.25)  # a step each that fits twice, four times
    for proposals in ([half, quarter], [quarter, half]):
        assert drop_what_does_not_help(proposals, output) == quarter
    np.testing.assert_array_less(output.db(wide) + 3.0, output.db(quarter))


def test_none_is_kept_where_each_clips(output: OutputError, ranges: Ranges) -> None:
    proposals = [_with_channels(ranges, 0.1), _with_channels(ranges, 0.2)]
    kept = drop_what_does_not_help(proposals, output)
    assert not any(found.coarse.channels or found.fine.channels for found in kept.tensors.values())


def test_calibration_proposes_steps_as_far_as_channels_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Ranges] = []

    def watched(proposals: list[Ranges], output: OutputError) -> Ranges:
        seen.extend(proposals)
        return drop_what_does_not_help(proposals, output)

    monkeypatch.setattr("edge.quantization.calibrate.drop_what_does_not_help", watched)
    calibrate(small_unet(), images(8), scheme=SCHEMES["openvino"])
    fitted, reached = (found["relu"].fine.channels for found in seen)
    values = [Intermediates(small_unet(), ["relu"]).run(image)["relu"] for image in images(8)[:7]]  # the 8th is held
    tops = np.max([value.max(axis=(0, 2, 3)) for value in values], axis=0)
    expected = np.clip(tops / seen[0]["relu"].fine.amax, LEAST_REACH, 1.0)
    assert reached == pytest.approx(expected, rel=1e-3)
    assert fitted != reached
