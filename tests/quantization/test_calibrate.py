"""Calibration on a real U-Net: deterministic, streaming, exact extremes, bounded in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.backends.onnxruntime import Intermediates
from edge.errors import InputError
from edge.quantization.calibrate import _Spread, calibrate
from edge.quantization.ranges import read_ranges
from tests.fixtures.small_unet import images, small_litenext, small_unet


def test_extremes_are_those_of_the_data() -> None:
    model = small_unet()
    ranges = calibrate(model, images(3))
    assert set(ranges.tensors) >= {"image", "relu"}
    probe = Intermediates(model, list(ranges.tensors))
    outputs = [probe.run(image) for image in images(3)]
    for name, found in ranges.tensors.items():
        assert found.low == min(float(o[name].min()) for o in outputs)
        assert found.high == max(float(o[name].max()) for o in outputs)
        assert found.count == sum(o[name].size for o in outputs)  # few enough to be binned all
        assert 0 < found.coarse.amax <= max(-found.low, found.high)
        assert found.coarse.method in found.coarse.candidates
    assert ranges.images == 3


@pytest.mark.slow
def test_it_is_deterministic_and_reads_an_iterator_once(tmp_path: Path) -> None:
    model, seen = small_litenext(), 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal seen
        for image in images(6):
            seen += 1
            yield image

    first, second = calibrate(model, stream()), calibrate(model, images(6))
    assert seen == 6
    assert first == second
    assert read_ranges(first.save(tmp_path / "ranges.json")) == first


def test_named_tensors_and_one_method_for_all() -> None:
    ranges = calibrate(small_unet(), images(2), tensors=["relu", "relu"], method="min-max")
    assert list(ranges.tensors) == ["relu"]
    assert ranges["relu"].coarse.amax == ranges["relu"].high
    assert ranges["relu"].fine.method == "min-max"
    with pytest.raises(InputError, match="calibrate this very graph"):
        ranges["nowhere"]


def test_convergence_ends_at_zero() -> None:
    convergence = calibrate(small_unet(), images(6), method="mse").convergence
    assert convergence.images == (1, 2, 4, 6)
    assert convergence.median[-1] == convergence.worst[-1] == 0.0
    assert convergence.worst[0] >= convergence.median[0] > 0.0


def test_few_of_many_images_are_kept_evenly() -> None:
    spread = _Spread(4)
    for index in range(100):
        spread.offer(np.array([index], np.float32))
    kept = [int(image[0]) for image in spread.images]
    assert kept == list(range(0, 100, 32))


def test_what_is_refused() -> None:
    model = small_unet()
    with pytest.raises(InputError, match="no images"):
        calibrate(model, [])
    with pytest.raises(InputError, match="unknown; known are min-max"):
        calibrate(model, images(1), method="magic")
    with pytest.raises(InputError, match="NaN or infinite on image 1"):
        calibrate(model, [np.full_like(images(1)[0], np.nan)])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = calibrate(small_unet(), images(1), method="min-max").save(tmp_path / "ranges.json")
    path.write_text(path.read_text().replace('"images": 1', '"pictures": 1'))
    with pytest.raises(InputError, match="damaged"):
        read_ranges(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="schema"):
        read_ranges(path)


def test_a_dead_tensor_still_has_a_range() -> None:
    model = small_unet()
    silent = replace(model, proto=type(model.proto).FromString(model.proto.SerializeToString()))
    weight = next(w for w in silent.proto.graph.initializer if w.name == silent.proto.graph.node[0].input[1])
    weight.raw_data = bytes(len(weight.raw_data))
    bias = next(w for w in silent.proto.graph.initializer if w.name == silent.proto.graph.node[0].input[2])
    bias.raw_data = bytes(len(bias.raw_data))
    assert calibrate(silent, images(2))["relu"].coarse.amax == 0.0
