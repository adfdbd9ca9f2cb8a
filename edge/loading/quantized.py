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
from edge.graph.model import Model
from edge.loading.normalize.edit import array_of, drop_unread, inferred, makers, rename_reads, set_output
from edge.loading.normalize.step import attribute

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_NOTE = "{}: is quantized already (Q/DQ nodes): it is built as its author's INT8; --dequantize strips it back to float"
_STRIPPED = (
    "{}: its Q/DQ nodes were stripped: the float model is what INT8 left of its weights, and the author's own INT8 "
    "graph is one more candidate"
)


def announced(model: Model) -> Model:
    """The model with a note where it is quantized already; itself where it is not."""
    return replace(model, notes=(*model.notes, _NOTE.format(model.source))) if model.quantized else model


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
    made = makers(proto)
    outputs = {output.name: [d.dim_value for d in output.type.tensor_type.shape.dim] for output in proto.graph.output}
    for node in [node for node in proto.graph.node if node.op_type == DEQUANTIZE]:
        before = made.get(node.input[0])
        if before is None or before.op_type != QUANTIZE:
            continue
        if node.output[0] in outputs:
            set_output(proto, node.output[0], before.input[0], outputs[node.output[0]])
        else:
            rename_reads(proto, node.output[0], before.input[0])
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
