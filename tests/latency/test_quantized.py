"""The roofline of Q/DQ graphs: equal to that of float graphs where nothing is rounded, by hand where something is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge.backends.tensorrt.kernels import predict_kernels
from edge.graph.model import Model
from edge.latency.estimate import Peaks, estimate, target_peaks
from edge.latency.quantized import estimate_quantized
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from tests.fixtures.discs import SIZE, disc_network
from tests.fixtures.zoo import squeeze_excite_hard_swish, transposed_and_concat, two_class_softmax

ORIN = find_target("jetson-orin-nano-8gb")
SLOW = Peaks({"fp32": 1e9, "fp16": 2e9, "int8": 4e9}, 1e15, "made up")
NARROW = Peaks({}, 1e9, "made up")
SCHEME = SCHEMES["tensorrt"]
PLANE = SIZE * SIZE


@pytest.fixture(scope="module")
def discs() -> tuple[Model, Model, Model]:
    """Float, all in INT8 that may be, and only the second convolution in INT8."""
    model = disc_network()
    rng = np.random.default_rng(0)
    ranges = calibrate(model, [rng.random((1, 3, SIZE, SIZE), np.float32)], method="min-max")
    plan = plan_int8(model, SCHEME)
    assert plan.int8 == {"second/Conv", "head/Conv"}
    alone = plan.without({"head/Conv": ""})
    return model, quantize(model, ranges, plan, SCHEME), quantize(model, ranges, alone, SCHEME)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("build", [transposed_and_concat, two_class_softmax])
def test_a_float_graph_takes_what_the_plain_estimate_says(build: Callable[[], Model], precision: str) -> None:
    model = build()
    rows = estimate_quantized(model, precision, target_peaks(ORIN))
    assert sum(row.ms for row in rows) == pytest.approx(estimate(model, ORIN, precision).ms)


def test_an_addition_is_merged_into_whichever_branch_it_alone_reads() -> None:
    model = squeeze_excite_hard_swish()
    ms = sum(row.ms for row in estimate_quantized(model, "fp16", target_peaks(ORIN)))
    plain = estimate(model, ORIN, "fp16").ms
    assert 0.8 * plain < ms < plain


def test_int8_takes_its_own_rate(discs: tuple[Model, Model, Model]) -> None:
    rows = {row.name: row for row in estimate_quantized(discs[1], "fp16", SLOW)}
    assert (rows["first/Conv"].precision, rows["second/Conv"].precision) == ("fp16", "int8")
    assert rows["first/Conv"].ms == pytest.approx(2e3 * 27 * 8 * PLANE / 2e9)
    assert rows["second/Conv"].ms == pytest.approx(2e3 * 72 * 8 * PLANE / 4e9)


def test_between_int8_layers_8_bits_move_and_nothing_is_rounded_apart(discs: tuple[Model, Model, Model]) -> None:
    rows = {row.name: row for row in estimate_quantized(discs[1], "fp16", NARROW)}
    assert not any(row.op in ("QuantizeLinear", "Relu") for row in rows.values())
    # 8 channels in and 8 out, one byte each, and the weights.
    assert rows["second/Conv"].bytes == 16 * PLANE + 8 * 8 * 9
    assert rows["head/Conv"].bytes == 8 * PLANE + 8 + 2 * PLANE


def test_a_tensor_that_a_float_layer_reads_is_written_in_full(discs: tuple[Model, Model, Model]) -> None:
    rows = {row.name: row for row in estimate_quantized(discs[2], "fp16", NARROW)}
    assert rows["second/Conv"].bytes == 8 * PLANE + 2 * 8 * PLANE + 8 * 8 * 9
    assert rows["head/Conv"].precision == "fp16"
    assert rows["head/Conv"].bytes == 2 * (8 * PLANE + 8 + PLANE)


def test_what_a_known_kernel_does_not_hold_is_a_pass_of_its_own(discs: tuple[Model, Model, Model]) -> None:
    """As TensorRT for RTX does it: INT8 sums are written in 32 bits, and scaled, activated and rounded apart."""
    kernels = predict_kernels(discs[1])
    rows = {row.name: row for row in estimate_quantized(discs[1], "fp16", NARROW, kernels)}
    assert kernels["first/Conv"].fused and not kernels["second/Conv"].fused
    assert rows["first/Conv"].bytes == 2 * (3 * PLANE + 3 * 8 * 9 + 8 + 8 * PLANE)  # its ReLU inside
    assert rows["second/Conv"].bytes == 8 * PLANE + 8 * 8 * 9 + 4 * 8 * PLANE
    rounding = sorted(row.bytes for row in rows.values() if row.op == "QuantizeLinear")
    assert rounding == [8 * PLANE * (2 + 1)]  # of what the float convolution wrote
    assert [row.bytes for row in rows.values() if row.op == "Relu"] == [8 * PLANE * (4 + 1)]
    assert rows["head/Conv"].bytes == 8 * PLANE + 8 + 4 * PLANE + (4 + 2) * PLANE
    alone = sum(row.bytes for row in estimate_quantized(discs[1], "fp16", NARROW))
    assert sum(row.bytes for row in rows.values()) > 1.5 * alone
