"""Gelu without its operator (new in opset 20).

::

    x ─ Gelu ─ y

    x ─┬─ Mul 1/√2 ─ Erf ─ Add 1 ─ Mul ─ Mul ½ ─ y                      approximate = "none"
       └────────────────────────────┘

    x ─┬─ Mul(x, x) ─ Mul 0.044715 ─ Add 1 ─ Mul x ─ Mul √(2/π) ─ Tanh ─ Add 1 ─ Mul x ─ Mul ½ ─ y      "tanh"

Both are the operator's definition. The square and what follows come before the Tanh, so FP16 engines saturate it
rather than overflow the result.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, text
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_lacking
from edge.lowering.values import float_input, take_over


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "gelu"
    shape = editor.shape(x)

    def op(kind: str, *inputs: ir.Value) -> ir.Value:
        return editor.op(kind, inputs, shape=shape, hint=f"{name}.{kind.lower()}")

    def number(value: float) -> ir.Value:
        return editor.weight(np.array([value], np.float32), f"{name}.constant")

    if text(node, "approximate", "none") == "tanh":
        cubic = op("Add", op("Mul", op("Mul", x, x), number(0.044715)), number(1))
        inner = op("Tanh", op("Mul", op("Mul", cubic, x), number(math.sqrt(2 / math.pi))))
    else:
        inner = op("Erf", op("Mul", x, number(math.sqrt(0.5))))
    take_over(editor, node.outputs[0], op("Mul", op("Mul", op("Add", inner, number(1)), x), number(0.5)))


REWRITE = rewrite(__name__, where_lacking("Gelu"), ("Gelu",), _apply)
