"""What a quantization rule may ask about a graph: facts on nodes and tensors that follow from the graph alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.graph.editor import integer, ints, text
from edge.graph.model import MULTIPLIES, Model
from edge.task.task import SegmentationTask

_POSITIVE = {
    "Abs", "Exp", "HardSigmoid", "Relu", "ReduceL1", "ReduceL2", "ReduceSumSquare", "Sigmoid", "Softmax", "Softplus",
    "Sqrt",
}  # fmt: skip
# Each output element is one of the input's elements, so a grid that fits the input fits the output.
_MOVES = {
    "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "ReduceMax",
    "ReduceMin", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
# They mix or pick the rows and columns of a map.
_ON_MAPS = {
    "AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Resize",
    "SpaceToDepth",
}  # fmt: skip
# Behind them the last axis is another one.
_REARRANGES = {"Einsum", "Flatten", "Gather", "Gemm", "MatMul", "Reshape", "Transpose"}
_AVERAGES = {"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"}
_ALL_POSITIVE = {"Add", "Concat", "Conv", "Div", "Max", "Mean", "Min", "Mul", "Sum"}


@dataclass(frozen=True)
class NodeFacts:
    """A node that could run in INT8.

    Attributes:
        name, op: node name and operator type.
        groups: of a convolution, else 1.
        in_channels, out_channels: of its weight; 0 where the second operand is computed.
        kernel: spatial size of its weight, () for a matrix product.
        constant: its second operand is a weight.
        weight_first: its first operand is a weight and the second is not.
        rows: of the matrix product that it comes to: of the first operand, or a convolution's output positions; 0 where
            the shape is not known.
        squares: its first operand is a tensor times itself: it averages squares, as a variance does.
        last: no other Conv, ConvTranspose, MatMul or Gemm lies between it and the graph's output.
        blends: a convolution of stride 1 whose filters blend neighbours: no weight below 0, and they sum to 1.
        columns: what it counts as output channels are the columns of a map, which a convolution, a pooling or a resize
            reads as such.
    """

    name: str
    op: str
    groups: int
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    constant: bool
    weight_first: bool
    rows: int = 0
    squares: bool = False
    last: bool = False
    blends: bool = False
    columns: bool = False

    @property
    def depthwise(self) -> bool:
        """One filter a channel."""
        return self.groups > 1 and self.groups == self.in_channels


def node_facts(node: ir.Node) -> NodeFacts:
    """Read the facts of a Conv, ConvTranspose, MatMul or Gemm."""
    weight, groups = constant(node.inputs[1]), integer(node, "group", 1)
    shape = weight.shape if weight is not None else (0, 0)
    if node.op_type == "Conv":
        out_channels, in_channels = shape[0], shape[1] * groups
    elif node.op_type == "ConvTranspose":
        out_channels, in_channels = shape[1] * groups, shape[0]
    elif node.op_type == "Gemm" and integer(node, "transB", 0):
        out_channels, in_channels = shape[-2:]
    else:
        in_channels, out_channels = shape[-2:] if len(shape) > 1 else (shape[0], 1)
    convolution = node.op_type in ("Conv", "ConvTranspose")
    return NodeFacts(
        name=node.name or "",
        op=node.op_type,
        groups=groups,
        in_channels=int(in_channels),
        out_channels=int(out_channels),
        kernel=tuple(shape[2:]) if convolution and weight is not None else (),
        constant=weight is not None,
        weight_first=weight is None and constant(node.inputs[0]) is not None,
        rows=_positions(node) if convolution else _rows(node),
        squares=_is_square(node.inputs[0]),
        last=_is_last(node),
        blends=node.op_type == "Conv" and weight is not None and _blends(weight, ints(node, "strides", (1, 1))),
        columns=node.op_type == "MatMul" and _makes_columns(node),
    )


def weight_axis(node: ir.Node, axis: int) -> int:
    """Axis of output channels in a node's weight, from the operator's usual one (a transposed Gemm has the other)."""
    return 1 - axis if node.op_type == "Gemm" and integer(node, "transB", 0) else axis


def constant(value: ir.Value | None) -> NDArray[np.float32] | None:
    """The weight behind a value, None where it is computed."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def quantizable(model: Model, op_types: tuple[str, ...] = MULTIPLIES) -> list[str]:
    """Names of the tensors that nodes of these types read and that are computed, in graph order."""
    graph = model.to_ir().graph
    names = (value.name for node in graph if node.op_type in op_types for value in activations(node))
    return list(dict.fromkeys(name for name in names if name))


def channel_axes(model: Model) -> dict[str, int]:
    """Axis of channels of each computed operand: 1 where convolutions read it, -1 for matrix products; not of both."""
    found: dict[str, set[int]] = {}
    for node in model.to_ir().graph:
        if node.op_type in MULTIPLIES:
            for value in activations(node):
                found.setdefault(str(value.name), set()).add(channel_axis(node))
    return {name: axes.pop() for name, axes in found.items() if len(axes) == 1}


def channel_axis(node: ir.Node) -> int:
    """Axis of channels of what a Conv, ConvTranspose, MatMul or Gemm reads first."""
    return 1 if node.op_type in ("Conv", "ConvTranspose") else -1


def activations(node: ir.Node) -> list[ir.Value]:
    """The computed operands of a node (not its weight, not its bias)."""
    return [value for value in node.inputs[:2] if value is not None and constant(value) is None]


def is_nonnegative(value: ir.Value | None, task: SegmentationTask) -> bool:
    """Whether no input whatever can make the tensor negative; False where that cannot be shown."""
    return _nonnegative(value, task, {})


def is_beside_concat(value: ir.Value) -> bool:
    """Whether a Concat makes the tensor or reads it, directly or through nodes that only move values."""
    return any(node.op_type == "Concat" for node in (*_makers(value), *_readers(value)))


def _makers(value: ir.Value) -> Iterator[ir.Node]:
    node = value.producer()
    while node is not None:
        yield node
        if node.op_type not in _MOVES:
            return
        first = node.inputs[0]
        node = first.producer() if first is not None else None


def _readers(value: ir.Value) -> Iterator[ir.Node]:
    for node, _ in value.uses():
        yield node
        if node.op_type in _MOVES:
            for output in node.outputs:
                yield from _readers(output)


def _nonnegative(value: ir.Value | None, task: SegmentationTask, known: dict[str, bool]) -> bool:
    if value is None:
        return False
    if (array := constant(value)) is not None:
        return bool(np.all(array >= 0))
    node, name = value.producer(), value.name or ""
    if node is None:  # the image
        return task.normalize == "minmax" or (max(task.mean) <= 0 and min(task.std) > 0 and task.scale > 0)
    if name not in known:
        known[name] = _node_nonnegative(node, task, known)
    return known[name]


def _node_nonnegative(node: ir.Node, task: SegmentationTask, known: dict[str, bool]) -> bool:
    inputs, op = list(node.inputs), node.op_type
    if op in _POSITIVE or (op == "Mul" and inputs[0] is inputs[1]):
        return True
    if op == "Clip":
        floor = constant(inputs[1]) if len(inputs) > 1 else None
        return floor is not None and float(floor) >= 0
    if op == "Resize":
        return text(node, "mode", "nearest") != "cubic" and _nonnegative(inputs[0], task, known)
    if op == "Pad":
        fill = constant(inputs[2]) if len(inputs) > 2 else np.zeros(1, np.float32)
        return fill is not None and bool(np.all(fill >= 0)) and _nonnegative(inputs[0], task, known)
    if op in _MOVES or op in _AVERAGES:
        return _nonnegative(inputs[0], task, known)
    return op in _ALL_POSITIVE and all(_nonnegative(value, task, known) for value in inputs)


def _rows(node: ir.Node) -> int:
    dims = _dims(node.inputs[0])
    if not dims:
        return 0
    return dims[1] if integer(node, "transA", 0) else math.prod(dims[:-1])


def _positions(node: ir.Node) -> int:
    dims = _dims(node.outputs[0])
    return math.prod(dims[2:]) if dims else 0


def _is_square(value: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    if node is None:
        return False
    if node.op_type == "Pow":
        exponent = constant(node.inputs[1])
        return exponent is not None and bool(np.all(exponent == 2))
    return node.op_type == "Mul" and node.inputs[0] is node.inputs[1]


def _is_last(node: ir.Node) -> bool:
    return all(reader.op_type not in MULTIPLIES for reader in _behind(node, MULTIPLIES))


def _blends(weight: NDArray[np.float32], strides: Sequence[int]) -> bool:
    sums = weight.reshape(len(weight), -1).sum(axis=1)
    return set(strides) == {1} and bool((weight >= 0).all()) and np.allclose(sums, 1.0, rtol=0, atol=1e-6)


def _makes_columns(node: ir.Node) -> bool:
    if len(_dims(node.outputs[0])) not in (0, 4):
        return False
    return any(reader.op_type in _ON_MAPS for reader in _behind(node, _ON_MAPS | _REARRANGES))


def _behind(node: ir.Node, until: Collection[str]) -> Iterator[ir.Node]:
    """Every node behind a node, but for those behind one of these types."""
    behind, seen = list(node.outputs), set[int]()
    while behind:
        value = behind.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for reader, _ in value.uses():
            yield reader
            if reader.op_type not in until:
                behind += reader.outputs


def _dims(value: ir.Value | None) -> list[int]:
    """A tensor's static shape; empty where it is not known."""
    shape = value.shape if value is not None else None
    if shape is None or not all(isinstance(d, int) for d in shape):
        return []
    return [int(d) for d in shape]  # type: ignore[arg-type]
