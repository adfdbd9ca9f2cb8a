"""Multiply-accumulates of a graph, counted from its shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from edge.graph.model import Model
from edge.graph.native import with_shapes

Shapes = Mapping[str, tuple[int, ...]]


def count_macs(model: Model) -> int:
    """Multiply-accumulates of convolutions, transposed convolutions, linear layers and matrix products, batch 1.

    Biases, norms, activations and resizes count nothing, as is usual in the literature.

    Args:
        model: a graph of static shapes (a dynamic batch counts as 1).
    """
    return graph_macs(model.proto)


def graph_macs(proto: onnx.ModelProto) -> int:
    """:func:`count_macs` of a bare graph."""
    shapes = static_shapes(proto)
    return sum(node_macs(node, shapes) for node in proto.graph.node)


def node_macs(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Multiply-accumulates of one node, 0 for what is neither convolution nor matrix product."""
    return _COUNT[node.op_type](node, shapes) if node.op_type in _COUNT else 0


def static_shapes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every value whose shape is known; unknown or symbolic dimensions count as 1."""
    graph = with_shapes(proto).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = tuple(max(1, d.dim_value) for d in value.type.tensor_type.shape.dim)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            shapes[node.output[0]] = tuple(node.attribute[0].t.dims)
    return shapes


def _conv(node: onnx.NodeProto, shapes: Shapes) -> int:
    # Every output element needs one product per weight of its filter.
    weight = shapes.get(node.input[1], (0,))
    return math.prod(shapes.get(node.output[0], (0,))) * math.prod(weight[1:])


def _conv_transpose(node: onnx.NodeProto, shapes: Shapes) -> int:
    # Every input element meets the whole filter of its channel.
    weight = shapes.get(node.input[1], (0,))
    return math.prod(shapes.get(node.input[0], (0,))) * math.prod(weight[1:])


def _matmul(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(shapes.get(node.output[0], (0,))) * shapes.get(node.input[0], (0,))[-1]


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    a = shapes.get(node.input[0], (0, 0))
    transposed = any(f.name == "transA" and f.i for f in node.attribute)
    return math.prod(shapes.get(node.output[0], (0,))) * a[0 if transposed else -1]


_COUNT: Mapping[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
}
