"""LayerNormalization without its operator (TensorRT 8.5 has none).

::

    x ─ LayerNormalization(γ, β) ─ y

    x ─┬─ ReduceMean ─ Sub ─┬─ Mul(c, c) ─ ReduceMean ─ Add ε ─ Sqrt ─ Div ─ Mul γ ─ Add β ─ y
       └────────────────┘   └──────────────────────────────────────────┘

The operator's definition. Reduction axes are written as attributes: where this is needed the opset is below 18.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, integer, number
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_lacking
from edge.lowering.values import float_input, static_shape, take_over


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "layer_norm"
    shape = static_shape(editor, x)
    first = integer(node, "axis", -1) % len(shape)
    axes = tuple(range(first, len(shape)))
    reduced = (*shape[:first], *(1 for _ in axes))

    def op(kind: str, *inputs: ir.Value) -> ir.Value:
        return editor.op(kind, inputs, shape=shape, hint=f"{name}.{kind.lower()}")

    def mean(value: ir.Value) -> ir.Value:
        options = {"axes": list(axes), "keepdims": 1}
        return editor.op("ReduceMean", [value], options, shape=reduced, hint=f"{name}.mean")

    centred = op("Sub", x, mean(x))
    epsilon = editor.weight(np.array([number(node, "epsilon", 1e-5)], np.float32), f"{name}.epsilon")
    variance = editor.op("Add", [mean(op("Mul", centred, centred)), epsilon], shape=reduced, hint=f"{name}.variance")
    y = op("Div", centred, editor.op("Sqrt", [variance], shape=reduced, hint=f"{name}.deviation"))
    y = op("Mul", y, float_input(node, 1))
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        y = op("Add", y, float_input(node, 2))
    take_over(editor, node.outputs[0], y)


REWRITE = rewrite(__name__, where_lacking("LayerNormalization"), ("LayerNormalization",), _apply)
