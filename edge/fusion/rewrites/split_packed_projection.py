"""One packed linear layer for queries, keys and values taken apart.

::

    x ─ MatMul [d, 3e] ─ (+ b) ─ Reshape [B,S,3,h,e/h] ─ Transpose(2,0,3,1,4) ─┬─ Gather 0 ─ (· c) ─ q
                                                                               ├─ Gather 1 ─ k
                                                                               └─ Gather 2 ─ v
    x ─┬─ MatMul [d, e] · c ─ (+ b₀ c) ─ Reshape [B,S,h,e/h] ─ Transpose(0,2,1,3) ─ q
       ├─ MatMul [d, e] ─ (+ b₁) ─ Reshape ─ Transpose ─ k
       └─ MatMul [d, e] ─ (+ b₂) ─ Reshape ─ Transpose ─ v

Algebra: the columns of the packed matrix are independent; ``c`` scales the columns it meets.

Pays where the compiler knows attention by its four-dimensional transposes (OpenVINO fuses them into the product) but
really runs a five-dimensional one.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base
from edge.graph.editor import Editor, integer, ints
from edge.graph.rewrite import rewrite

_PACKED = (2, 0, 3, 1, 4)


def _apply(editor: Editor, node: ir.Node) -> bool:
    reshape = editor.own(node.inputs[0], "Reshape")
    if reshape is None or ints(node, "perm", ()) != _PACKED:
        return False
    whole = reshape.inputs[0]
    add = editor.own(whole, "Add")
    bias = next((a for a in map(editor.array, add.inputs) if a is not None), None) if add is not None else None
    if add is not None:
        whole = next((v for v in add.inputs if editor.array(v) is None), None)
    product = editor.own(whole, "MatMul")
    shape = editor.shape(reshape.outputs[0])
    matrix = editor.array(product.inputs[1]) if product is not None else None
    x = product.inputs[0] if product is not None else None
    if product is None or x is None or matrix is None or shape is None or matrix.ndim != 2 or (add and bias is None):
        return False
    batch, length, count, heads, width = shape
    picks = [use.node for use in node.outputs[0].uses()]
    if node.outputs[0].is_graph_output() or not all(_is_pick(editor, pick) for pick in picks):
        return False
    if editor.shape(x) != (batch, length, matrix.shape[0]) or matrix.shape[1] != count * heads * width:
        return False
    if bias is not None and bias.size != matrix.shape[1]:
        return False
    columns = np.split(matrix.astype(np.float64), count, axis=1)
    offsets = np.split(bias.astype(np.float64).reshape(-1), count) if bias is not None else None
    for pick in picks:
        index = int(editor.scalar(pick.inputs[1]) or 0) % count
        result, factor = _scaled(editor, pick.outputs[0])
        hint = f"{base(product)}.part{index}"
        flat = (batch, length, heads * width)
        part = editor.op("MatMul", [x, editor.weight(columns[index] * factor, f"{hint}.weight")], shape=flat, hint=hint)
        if offsets is not None:
            shift = editor.weight(offsets[index] * factor, f"{hint}.bias")
            part = editor.op("Add", [part, shift], shape=flat, hint=f"{hint}.shifted")
        wanted = editor.weight(np.array([batch, length, heads, width], np.int64), f"{hint}.shape")
        part = editor.op("Reshape", [part, wanted], shape=(batch, length, heads, width), hint=f"{hint}.heads")
        turned = (batch, heads, length, width)
        editor.replace(result, editor.op("Transpose", [part], {"perm": [0, 2, 1, 3]}, shape=turned, hint=base(pick)))
    return True


def _is_pick(editor: Editor, node: ir.Node) -> bool:
    index = editor.array(node.inputs[1]) if node.op_type == "Gather" else None
    return index is not None and index.ndim == 0 and integer(node, "axis", 0) == 0


def _scaled(editor: Editor, value: ir.Value) -> tuple[ir.Value, float]:
    """The value after a constant factor that is its only reader, and that factor."""
    reader = editor.user(value)
    if reader is not None and reader.op_type == "Mul":
        factors = [editor.scalar(v) for v in reader.inputs]
        found = [f for f in factors if f is not None]
        if found and editor.shape(reader.outputs[0]) == editor.shape(value):
            return reader.outputs[0], found[0]
    return value, 1.0


REWRITE = rewrite(__name__, "optional", ("Transpose",), _apply)
