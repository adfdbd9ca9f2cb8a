"""Bias correction takes back the shift of the mean, channel by channel, and only where a node is in INT8."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from edge.backends.onnxruntime import Intermediates, reference
from edge.quantization.bias import correct_biases, measure_shifts
from edge.quantization.calibrate import calibrate
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from tests.fixtures.discs import disc_network
from tests.fixtures.small_unet import images, small_unet

SCHEME = replace(SCHEMES["openvino"], shared=False)


@cache
def learned_ranges() -> Ranges:
    return calibrate(small_unet(), images(4), method="mse")


def test_first_convolution_keeps_its_mean() -> None:
    # The first convolution reads the image itself, so its local shift is all of its shift.
    quantized = quantize(small_unet(), learned_ranges(), plan_int8(small_unet(), SCHEME), SCHEME)
    shifts = measure_shifts(small_unet(), quantized, images(4))
    assert set(shifts) == plan_int8(small_unet(), SCHEME).int8
    first = next(n for n in small_unet().proto.graph.node if n.op_type == "Conv")
    corrected = correct_biases(quantized, shifts)

    def means(graph: object) -> np.ndarray:
        probe = Intermediates(graph, [first.output[0]])  # type: ignore[arg-type]
        return np.mean([probe.run(image)[first.output[0]].mean(axis=(0, 2, 3)) for image in images(4)], axis=0)

    exact = means(small_unet())
    before, after = (np.abs(means(graph) - exact).max() for graph in (quantized, corrected))
    assert before > 1e-4
    assert after < 0.05 * before


def test_float_nodes_are_left_alone() -> None:
    plan = plan_int8(small_unet(), SCHEME)
    quantized = quantize(small_unet(), learned_ranges(), plan, SCHEME)
    shifts = measure_shifts(small_unet(), quantized, images(1))
    part = quantize(small_unet(), learned_ranges(), plan.without(dict.fromkeys(sorted(plan.int8)[1:], "test")), SCHEME)
    corrected = correct_biases(part, shifts)
    added = {w.name for w in corrected.proto.graph.initializer} - {w.name for w in part.proto.graph.initializer}
    assert added == {f"{sorted(plan.int8)[0]}_corrected_bias"}
    assert measure_shifts(small_unet(), small_unet(), images(1)) == {}
    assert measure_shifts(small_unet(), quantized, ()) == {}


def test_a_convolution_without_bias_gets_one() -> None:
    model = disc_network()  # two of its three convolutions have none
    image = np.random.default_rng(0).random((1, 3, *model.task.size), dtype=np.float32)
    quantized = quantize(model, calibrate(model, [image]), plan_int8(model, SCHEME), SCHEME)
    corrected = correct_biases(quantized, measure_shifts(model, quantized, [image]))
    biases = {w.name: w.dims for w in corrected.proto.graph.initializer if w.name.endswith("_corrected_bias")}
    assert sorted(tuple(dims) for dims in biases.values()) == [(1,), (8,), (8,)]
    assert np.isfinite(reference(corrected).run(image)).all()


def test_a_convolution_of_divided_channels_is_measured_too() -> None:
    pattern = {name: tuple(0.5 + 0.1 * (k % 5) for k in range(count)) for name, count in _channels().items()}
    clips = {
        name: replace(
            found,
            coarse=replace(found.coarse, channels=pattern[name]),
            fine=replace(found.fine, channels=pattern[name]),
        )
        for name, found in learned_ranges().tensors.items()
    }
    quantized = quantize(
        small_unet(), replace(learned_ranges(), tensors=clips), plan_int8(small_unet(), SCHEME), SCHEME
    )
    assert any(node.name.endswith("_divided") for node in quantized.proto.graph.node)
    shifts = measure_shifts(small_unet(), quantized, images(2))
    assert set(shifts) == plan_int8(small_unet(), SCHEME).int8
    exact, *found = (
        np.concatenate([reference(graph).run(image) for image in images(4)])
        for graph in (small_unet(), quantized, correct_biases(quantized, shifts))
    )
    before, after = (abs(float((output - exact).mean())) for output in found)
    assert after < before


def _channels() -> dict[str, int]:
    values = Intermediates(small_unet(), list(learned_ranges().tensors)).run(images(1)[0])
    return {name: value.shape[1] for name, value in values.items()}
