"""Per-channel scale and shift, however the graph spells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import Conv, base, conv, read_any_conv, read_conv
from edge.graph.editor import Editor, integer, number


@dataclass(frozen=True)
class Affine:
    """``y = scale x + shift`` per channel of an NCHW map; ``scale`` and ``shift`` are ``[C]`` float64."""

    node: ir.Node
    x: ir.Value
    y: ir.Value
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def read_affine(editor: Editor, node: ir.Node | None) -> Affine | None:
    """A ``BatchNormalization``, or a ``Mul``/``Add``/``Sub``/``Div`` by a per-channel constant; else None."""
    if node is None:
        return None
    if node.op_type == "BatchNormalization":
        return read_batch_norm(editor, node)
    if node.op_type in ("Mul", "Add", "Sub", "Div"):
        return _read_elementwise(editor, node)
    return None


def read_batch_norm(editor: Editor, node: ir.Node) -> Affine | None:
    """Inference batch norm with constant statistics on a 4-D map."""
    x, shape = node.inputs[0], editor.shape(node.inputs[0])
    tables = [editor.array(value) for value in node.inputs[1:5]]
    if x is None or shape is None or len(shape) != 4 or integer(node, "training_mode", 0):
        return None
    if any(table is None for table in tables):
        return None
    gamma, beta, mean, variance = (np.asarray(t, dtype=np.float64) for t in tables)
    scale = gamma / np.sqrt(variance + number(node, "epsilon", 1e-5))
    return Affine(node, x, node.outputs[0], scale, beta - scale * mean)


def _read_elementwise(editor: Editor, node: ir.Node) -> Affine | None:
    left, right = node.inputs
    constant, x = editor.array(right), left
    if constant is None:
        if node.op_type in ("Sub", "Div"):  # constant - x and constant / x are not this
            return None
        constant, x = editor.array(left), right
    shape = editor.shape(x)
    if constant is None or x is None or shape is None or len(shape) != 4 or constant.dtype.kind != "f":
        return None
    channels = shape[1]
    per_channel = constant.ndim >= 3 and constant.shape[-3:] == (channels, 1, 1) and constant.size == channels
    if not per_channel and constant.size != 1:
        return None
    if editor.shape(node.outputs[0]) != shape:  # the constant broadcasts x
        return None
    table = np.broadcast_to(constant.reshape(-1).astype(np.float64), (channels,))
    if node.op_type == "Div" and not table.all():
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op_type in ("Mul", "Div"):
        scale, shift = (table if node.op_type == "Mul" else one / table), zero
    else:
        scale, shift = one, (table if node.op_type == "Add" else -table)
    return Affine(node, x, node.outputs[0], scale, shift)


def fold_back(editor: Editor, affine: Affine) -> bool:
    """Fold an affine map into the convolution that it reads; only if nothing else reads that."""
    found = read_any_conv(editor, editor.own(affine.x, "Conv"))
    if found is None or affine.x.is_graph_output():
        return False
    weight = found.bank * affine.scale[None, :, None, None, None]
    bias = found.bias * affine.scale + affine.shift
    shape = editor.shape(affine.y) or editor.shape(found.y)
    editor.replace(affine.y, conv(editor, found, found.x, weight, bias, shape=shape, hint=base(found.node)))
    return True


def fold_forward(editor: Editor, affine: Affine) -> bool:
    """Fold an affine map into every convolution that reads it; only if all its readers can take it."""
    if affine.y.is_graph_output():
        return False
    found = [read_conv(editor, use.node) for use in affine.y.uses()]
    convs = [c for c in found if c is not None and c.x is affine.y]
    if not found or len(convs) != len(found) or not all(_takes(affine, c) for c in convs):
        return False
    for reader in convs:
        fold_into_reader(editor, affine, reader)
    return True


def _takes(affine: Affine, reader: Conv) -> bool:
    return not affine.shift.any() or not any(reader.pads)


def fold_into_reader(editor: Editor, affine: Affine, reader: Conv) -> None:
    """Replace one convolution of ``affine.y`` by one of ``affine.x``; the caller has checked the borders."""
    per_group = reader.weight.shape[1]
    groups = np.repeat(np.arange(reader.groups), reader.outputs // reader.groups)
    columns = groups[:, None] * per_group + np.arange(per_group)[None, :]  # input channel behind [out, in / groups]
    weight = reader.weight * affine.scale[columns][:, :, None, None]
    bias = reader.bias + (reader.weight.sum(axis=(2, 3)) * affine.shift[columns]).sum(axis=1)
    result = conv(editor, reader, affine.x, weight, bias, shape=editor.shape(reader.y), hint=base(reader.node))
    editor.replace(reader.y, result)
