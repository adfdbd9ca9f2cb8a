"""Kernels of convolutions, predicted and read from plans that TensorRT for RTX builds here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.backends.tensorrt.engine import compile_plan
from edge.backends.tensorrt.kernels import ConvKernel, built_kernels, predict_kernels
from edge.backends.tensorrt.plan import rtx_layers
from edge.backends.tensorrt.settings import RTX
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half_range import watched
from edge.targets.target import find_target
from tests.fixtures.graph_builder import Builder
from tests.fixtures.networks import inputs, tensorrt_candidates
from tests.fixtures.zoo import grouped_nearest, squeeze_excite_hard_swish, transposed_and_concat


def swish_residual() -> Model:
    """Swish written out before a convolution, and a skip added behind one."""
    b = Builder(3, 16, 1)
    x = b.conv("x", 3, 16, 3)
    x = b.op("Mul", x, b.op("Sigmoid", x))
    y = b.op("Relu", b.op("Add", b.conv(x, 16, 16, 3), x))
    return b.model(b.conv(y, 16, 1))


def test_a_float_convolution_takes_in_swish_and_the_skip_with_its_activation() -> None:
    model = swish_residual()
    kinds = {node.name: node.op_type for node in model.proto.graph.node}
    taken = [sorted(kinds[name] for name in kernel.fused) for kernel in predict_kernels(model).values()]
    assert taken == [["Mul", "Sigmoid"], ["Add", "Relu"], []]


def test_an_int8_convolution_is_alone_in_its_kernel() -> None:
    model = squeeze_excite_hard_swish()
    ranges = calibrate(model, inputs(model, 2), [*quantizable(model), *watched(model)])
    (candidate,) = (c for c in tensorrt_candidates(model, ranges, find_target("rtx-ada")) if c.name == "int8-fp16")
    kernels = predict_kernels(candidate.model)
    assert {kernel.precision for kernel in kernels.values()} == {"int8", "fp16"}
    assert all(not kernel.fused for kernel in kernels.values() if kernel.precision == "int8")


@pytest.mark.parametrize(
    "build",
    [
        swish_residual,
        pytest.param(grouped_nearest, marks=pytest.mark.slow),
        pytest.param(squeeze_excite_hard_swish, marks=pytest.mark.slow),
        pytest.param(transposed_and_concat, marks=pytest.mark.slow),
    ],
)
def test_plans_hold_what_was_predicted(build: Callable[[], Model]) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    model = build()
    ranges = calibrate(model, inputs(model, 2), [*quantizable(model), *watched(model)])
    compared = 0
    for candidate in tensorrt_candidates(model, ranges, find_target("rtx-ampere")):
        plan = compile_plan(trt, RTX, candidate, ("SM86",)).plan
        built = built_kernels(rtx_layers(plan), candidate.model)
        assert built == predict_kernels(candidate.model), candidate.name
        compared += len(built)
    assert compared >= 8


def test_a_plan_that_says_nothing_is_unknown() -> None:
    model = swish_residual()
    assert set(built_kernels((), model).values()) == {ConvKernel("unknown", frozenset())}
