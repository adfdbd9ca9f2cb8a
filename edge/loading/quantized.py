"""Graphs that are quantized already: recognised by their Q/DQ nodes, built as they are, or stripped back to float.

As it is, such a graph is its author's INT8: no float precision of it can be told apart, and nothing is calibrated.
Stripped, its weights are what INT8 left of them and its activations float again: a source like any other, with the
author's own INT8 graph as one more candidate beside ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.errors import InputError
from edge.graph.model import MULTIPLIES, Model
from edge.loading.normalize.edit import array_of, drop_unread, fresh, inferred, makers, set_output
from edge.loading.normalize.edit import node as new_node
from edge.loading.normalize.step import attribute

_NONNEGATIVE = frozenset(("Relu", "Clip", "Sigmoid", "Softmax", "HardSigmoid"))
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_NOTE = "{}: is quantized already (Q/DQ nodes): it is built as its author's INT8; --dequantize strips it back to float"
_STRIPPED = (
    "{}: its Q/DQ nodes were stripped: the float model is what INT8 left of its weights, and the author's own INT8 "
    "graph is one more candidate"
)


def announced(model: Model) -> Model:
    """The model with a note where it is quantized already; itself where it is not."""
    return replace(model, notes=(*model.notes, _NOTE.format(model.source))) if model.quantized else model


def require_float(model: Model) -> Model:
    """The model itself; for stages that make of a float graph what a quantized one is already.

    Raises:
        InputError: it is quantized.
    """
    if model.quantized:
        raise InputError(
            f"{model.source}: is quantized already (Q/DQ nodes), and this takes a float model; give that, or add "
            "--dequantize to strip it back to float"
        )
    return model


def dequantized(model: Model) -> Model:
    """A quantized model back in float, its author's graph kept beside it.

    Raises:
        InputError: nothing in it is quantized, or not by pairs of Q and DQ.
    """
    if not model.quantized:
        raise InputError(
            f"{model.source}: has no Q/DQ nodes, so there is nothing to dequantize; leave --dequantize out"
        )
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _widen_weights(proto)
    _join_pairs(proto)
    left = next(
        (node for node in proto.graph.node if "QuantizeLinear" in node.op_type or node.op_type == DEQUANTIZE), None
    )
    if left is not None:
        raise InputError(
            f"{model.source}: {left.op_type} {left.name!r} is no pair of Q and DQ, so it cannot be stripped; "
            "give the float model"
        )
    note = _STRIPPED.format(model.source)
    return replace(model, proto=inferred(proto), author=model, notes=(*model.notes, note))


def on_products(model: Model) -> Model:
    """A quantized model with its pairs of Q and DQ where compilers fuse them: on operands of convolutions and products.

    Around a Concat with different scales, for one, compilers move pairs and change what they mean. Everything else
    reads what the Q read: one rounding less, the same INT8 layers with the author's own scales.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    pairs = _pairs(proto)
    for node in proto.graph.node:
        if node.op_type not in (*MULTIPLIES, QUANTIZE):
            node.input[:] = [pairs.get(name, name) for name in node.input]
    for output in proto.graph.output:
        if output.name in pairs:
            shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
            set_output(proto, output.name, pairs[output.name], shape)
    _unsign(proto)
    drop_unread(proto)
    return replace(model, proto=inferred(proto))


def _unsign(proto: onnx.ModelProto) -> None:
    """Signed grids with a zero point as unsigned ones, 128 levels up: the same values, in the form compilers fuse."""
    made = makers(proto)
    for node in list(proto.graph.node):
        before = made.get(node.input[0]) if node.op_type == DEQUANTIZE else None
        zero = array_of(proto, node.input[2]) if before is not None and len(node.input) > 2 else None
        if before is None or before.op_type != QUANTIZE or zero is None or zero.dtype != np.int8 or not zero.any():
            continue
        name = fresh(proto, f"{node.input[2]}_unsigned")
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array((zero.astype(np.int16) + 128).astype(np.uint8), name)
        )
        before.input[2] = node.input[2] = name


def _pairs(proto: onnx.ModelProto) -> dict[str, str]:
    """What each DQ of a Q makes, to what stands for it without rounding.

    That is what the Q read, or a new Clip of it where the grid begins at 0: quantizers drop a ReLU in front of such a
    Q, since its lowest level does the same.
    """
    made = makers(proto)
    found: dict[str, str] = {}
    for node in list(proto.graph.node):
        before = made.get(node.input[0]) if node.op_type == DEQUANTIZE else None
        if before is None or before.op_type != QUANTIZE:
            continue
        source = before.input[0]
        maker = made.get(source)
        highest = _highest(proto, before)
        if highest is not None and maker is not None and maker.op_type not in _NONNEGATIVE:
            source = _clipped(proto, before, source, highest)
        found[node.output[0]] = source
    return {name: _first(source, found) for name, source in found.items()}


def _highest(proto: onnx.ModelProto, quantize: onnx.NodeProto) -> float | None:
    """The value of a grid's last level where its first is 0, else None."""
    scale = array_of(proto, quantize.input[1])
    zero = array_of(proto, quantize.input[2]) if len(quantize.input) > 2 and quantize.input[2] else np.uint8(0)
    if scale is None or zero is None or scale.size != 1:
        return None
    levels = np.iinfo(zero.dtype)
    level = int(np.asarray(zero).reshape(-1)[0])
    return float(scale.reshape(())) * (levels.max - level) if level == levels.min else None


def _clipped(proto: onnx.ModelProto, quantize: onnx.NodeProto, source: str, highest: float) -> str:
    """A Clip of a value to ``[0, highest]``, in front of the Q that did it."""
    made = fresh(proto, f"{source}_clipped")
    bounds = [fresh(proto, f"{made}_{end}") for end in ("low", "high")]
    for name, value in zip(bounds, (0.0, highest), strict=True):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.float32), name))
    at = next(index for index, node in enumerate(proto.graph.node) if node.name == quantize.name)
    proto.graph.node.insert(at, new_node(proto, "Clip", [source, *bounds], made))
    return made


def _first(name: str, pairs: dict[str, str]) -> str:
    """The value before a chain of pairs."""
    while name in pairs:
        name = pairs[name]
    return name


def _widen_weights(proto: onnx.ModelProto) -> None:
    """A DQ of a stored tensor becomes the float tensor that it makes."""
    for node in proto.graph.node:
        levels = array_of(proto, node.input[0]) if node.op_type == DEQUANTIZE else None
        if levels is None:
            continue
        scale = array_of(proto, node.input[1])
        zero = array_of(proto, node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros_like(scale)
        axis = attribute(node, "axis", 1)
        array = (levels.astype(np.float32) - _along(zero, axis, levels).astype(np.float32)) * _along(
            scale, axis, levels
        )
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), node.output[0]))
        node.op_type = "Gone"
    _drop(proto)


def _join_pairs(proto: onnx.ModelProto) -> None:
    """What a DQ makes of what a Q made is what the Q read, but for the rounding."""
    pairs = _pairs(proto)
    for node in proto.graph.node:
        if node.op_type != DEQUANTIZE:
            node.input[:] = [pairs.get(name, name) for name in node.input]
    for output in proto.graph.output:
        if output.name in pairs:
            shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
            set_output(proto, output.name, pairs[output.name], shape)
    drop_unread(proto)


def _along(values: NDArray[np.generic], axis: int, levels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Scales or zero points, one or one per index of an axis, shaped to multiply ``levels``."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * levels.ndim
    shape[axis % levels.ndim] = -1
    return values.reshape(shape)


def _drop(proto: onnx.ModelProto) -> None:
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in proto.graph.node if n.op_type != "Gone"]
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    drop_unread(proto)
