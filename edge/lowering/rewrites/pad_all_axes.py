"""Pad over every axis, as before opset 18.

::

    x ─ Pad(pads of some axes, axes) ─ y
    x ─ Pad(pads of every axis, 0 elsewhere) ─ y

TensorRT 8.x refuses the ``axes`` input.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.errors import InputError
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_opset_below
from edge.lowering.values import static_shape


def _apply(editor: Editor, node: ir.Node) -> None:
    if len(node.inputs) < 4 or node.inputs[3] is None:
        return
    pads, axes = editor.array(node.inputs[1]), editor.array(node.inputs[3])
    rank = len(static_shape(editor, node.inputs[0]))
    if pads is None or axes is None:
        raise InputError(f"Pad {node.name!r} has computed pads; export with constant pads")
    every = np.zeros((2, rank), np.int64)
    every[:, axes] = pads.reshape(2, -1)
    node.replace_input_with(1, editor.weight(every.reshape(-1), f"{node.name}.pads"))
    node.resize_inputs(3)


REWRITE = rewrite(__name__, where_opset_below(18), ("Pad",), _apply)
