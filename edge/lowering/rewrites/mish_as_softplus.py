"""Mish without its operator (new in opset 18).

::

    x ─ Mish ─ y          x ─┬─ Softplus ─ Tanh ─ Mul ─ y
                             └──────────────────┘
"""

from __future__ import annotations

import onnx_ir as ir

from edge.graph.editor import Editor
from edge.lowering.rewrite import Rewrite, float_input, take_over, where_lacking


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "mish"
    shape = editor.shape(x)
    gate = editor.op("Softplus", [x], shape=shape, hint=f"{name}.softplus")
    gate = editor.op("Tanh", [gate], shape=shape, hint=f"{name}.tanh")
    take_over(editor, node.outputs[0], editor.op("Mul", [x, gate], shape=shape, hint=f"{name}.mul"))


REWRITE = Rewrite(("Mish",), where_lacking("Mish"), _apply)
