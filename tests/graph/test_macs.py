"""Multiply-accumulates against counts by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper as oh
from onnx import TensorProto

from edge.graph.macs import graph_macs


def _graph(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], shape: list[int]) -> onnx.ModelProto:
    tensors = [onnx.numpy_helper.from_array(np.ones(s, np.float32), n) for n, s in weights.items()]
    graph = oh.make_graph(
        nodes,
        "g",
        [oh.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [oh.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 20)])


def test_convolution_strided_and_grouped() -> None:
    node = oh.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], group=2)
    # 8x8 outputs, 6 channels, each from 2 inputs through 3x3
    assert graph_macs(_graph([node], {"w": (6, 2, 3, 3)}, [1, 4, 16, 16])) == 8 * 8 * 6 * 2 * 9


def test_transposed_convolution() -> None:
    node = oh.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    assert graph_macs(_graph([node], {"w": (4, 3, 2, 2)}, [1, 4, 5, 7])) == 5 * 7 * 4 * 3 * 4


def test_matrix_products() -> None:
    gemm = oh.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1)
    product = oh.make_node("MatMul", ["h", "v"], ["y"])
    model = _graph([gemm, product], {"w": (10, 8), "b": (10,), "v": (10, 3)}, [5, 8])
    assert graph_macs(model) == 5 * 8 * 10 + 5 * 10 * 3
