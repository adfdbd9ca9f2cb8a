"""Mish without its operator (new in opset 18).

::

    x ─ Mish ─ y          x ─┬─ Softplus ─ Tanh ─ Mul ─ y
                             └──────────────────┘
"""

from __future__ import annotations

import onnx_ir as ir

from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_lacking
from edge.lowering.values import float_input, take_over


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "mish"
    shape = editor.shape(x)
    gate = editor.op("Softplus", [x], shape=shape, hint=f"{name}.softplus")
    gate = editor.op("Tanh", [gate], shape=shape, hint=f"{name}.tanh")
    take_over(editor, node.outputs[0], editor.op("Mul", [x, gate], shape=shape, hint=f"{name}.mul"))


REWRITE = rewrite(__name__, where_lacking("Mish"), ("Mish",), _apply)
