"""Why compiled layers run as they do."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.backends.engine import Candidate, Layer
from edge.graph.model import Model
from edge.pipeline.explain import LEFT_BY_COMPILER, NOTHING_QUANTIZED, explained
from tests.fixtures.small_unet import TASK


def graph() -> Model:
    """Two convolutions: ``conv_2`` between Q/DQ pairs, ``conv_22`` float."""
    one = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(0, np.uint8), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x_q"], "q"),
        helper.make_node("DequantizeLinear", ["x_q", "scale", "zero"], ["x_dq"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "scale", "w_zero"], ["w_dq"], "w_dq"),
        helper.make_node("Conv", ["x_dq", "w_dq"], ["y"], "conv_2"),
        helper.make_node("Conv", ["y", "v"], ["z"], "conv_22"),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 1, 4, 4)) for n in ("x", "z")]
    ones = np.ones((1, 1, 1, 1), np.float32)
    weights = [
        one,
        zero,
        numpy_helper.from_array(np.array(0, np.int8), "w_zero"),
        numpy_helper.from_array(ones.astype(np.int8), "w"),
        numpy_helper.from_array(ones, "v"),
    ]
    proto = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], weights))
    onnx.checker.check_model(proto)
    return Model(proto, TASK, "two")


def reasons(candidate: Candidate, *layers: Layer) -> list[str]:
    return [layer.reason for layer in explained(layers, candidate)]


def test_every_float_layer_of_a_quantized_engine_has_a_reason() -> None:
    candidate = Candidate("int8", "int8", "fp32", graph(), {"conv_22": "narrow"})
    assert reasons(
        candidate,
        Layer("conv_2/WithoutBiases, conv_2", "Convolution", "int8", 1.0),
        Layer("conv_22, relu", "Convolution", "fp32", 1.0),
        Layer("conv_2", "Convolution", "bf16", 1.0),
        Layer("resize", "Interpolate", "fp32", 1.0),
    ) == ["", "narrow", LEFT_BY_COMPILER.format("bf16"), NOTHING_QUANTIZED]


def test_a_name_within_another_gives_it_no_reason() -> None:
    candidate = Candidate("int8", "int8", "fp32", graph(), {"conv_2": "costs too much"})
    assert reasons(
        candidate,
        Layer("conv_22", "Convolution", "fp32"),
        Layer("block/conv_2", "Convolution", "fp32"),
        Layer("conv_2.split", "Split", "fp32"),
        Layer("relu + conv_2", "Convolution", "fp32"),
    ) == [NOTHING_QUANTIZED] * 3 + ["costs too much"]


def test_a_float_engine_needs_no_reasons() -> None:
    candidate = Candidate("fp32", "fp32", "fp32", graph(), {})
    assert reasons(candidate, Layer("conv_22", "Convolution", "fp32")) == [""]
