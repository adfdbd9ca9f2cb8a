"""Swish without its operator (new in opset 24).

::

    x ─ Swish(α) ─ y          x ─┬─ Mul α ─ Sigmoid ─ Mul ─ y
                                 └──────────────────┘
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, number
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_lacking
from edge.lowering.values import float_input, take_over


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "swish"
    shape, alpha = editor.shape(x), number(node, "alpha", 1.0)
    inner = x
    if alpha != 1.0:
        factor = editor.weight(np.array([alpha], np.float32), f"{name}.alpha")
        inner = editor.op("Mul", [x, factor], shape=shape, hint=f"{name}.scaled")
    gate = editor.op("Sigmoid", [inner], shape=shape, hint=f"{name}.sigmoid")
    take_over(editor, node.outputs[0], editor.op("Mul", [x, gate], shape=shape, hint=f"{name}.mul"))


REWRITE = rewrite(__name__, where_lacking("Swish"), ("Swish",), _apply)
