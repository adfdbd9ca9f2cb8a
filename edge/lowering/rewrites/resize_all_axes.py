"""Resize over every axis, as before opset 18.

::

    x ─ Resize[axes](scales of some axes) ─ y
    x ─ Resize(scales of every axis, 1 elsewhere) ─ y

TensorRT 8.x ignores ``axes``.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.errors import InputError
from edge.graph.editor import Editor, ints
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_opset_below
from edge.lowering.values import static_shape


def _apply(editor: Editor, node: ir.Node) -> None:
    axes = ints(node, "axes", ())
    if not axes:
        return
    shape = static_shape(editor, node.inputs[0])
    for index, rest in ((2, np.ones(len(shape), np.float32)), (3, np.array(shape, np.int64))):
        given = node.inputs[index] if index < len(node.inputs) else None
        if given is None:
            continue
        array = editor.array(given)
        if array is None:
            raise InputError(f"Resize {node.name!r} has computed sizes; export with constant sizes")
        if array.size:
            rest[list(axes)] = array
            node.replace_input_with(index, editor.weight(rest, f"{given.name}_all"))
    del node.attributes["axes"]


REWRITE = rewrite(__name__, where_opset_below(18), ("Resize",), _apply)
