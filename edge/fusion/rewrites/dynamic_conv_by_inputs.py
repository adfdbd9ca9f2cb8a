"""A dynamic convolution by its inputs: constant filters over K gated copies of the input.

::

    x ──────────── Conv ─ y        x ─ Concat(x, …, x) ─ Mul [a_1 … a_1, …, a_K … a_K] ─ Conv [W_1 … W_K] ─ y
    a ─ Σ_k a_k W_k ┘

Algebra: ``(Σ_k a_k W_k) x = [W_1 … W_K] [a_1 x; …; a_K x]``.

Pays where a compiler wants constant weights (INT8, TensorRT's tactics) more than it minds K times the multiplications:
another exact form, not a better one, so it is tried on top of all others and kept where it measures faster.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, read_any_conv
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_any_conv(editor, node)
    shape = editor.shape(found.x) if found is not None else None
    if found is None or found.mixture is None or shape is None or found.groups != 1:
        return False
    kernels, hint = len(found.bank), base(node)
    channels = kernels * shape[1]
    wide = (1, channels, *shape[2:])

    def reshaped(value: ir.Value, op_type: str, sizes: tuple[int, ...], name: str) -> ir.Value:
        wanted = editor.weight(np.array(sizes, np.int64), f"{hint}.{name}_shape")
        return editor.op(op_type, [value, wanted], shape=sizes, hint=f"{hint}.{name}")

    column = reshaped(found.mixture, "Reshape", (kernels, 1), "column")
    gates = reshaped(
        reshaped(column, "Expand", (kernels, shape[1]), "gates"), "Reshape", (1, channels, 1, 1), "gate_row"
    )
    copies = editor.op("Concat", [found.x] * kernels, {"axis": 1}, shape=wide, hint=f"{hint}.copies")
    gated = editor.op("Mul", [copies, gates], shape=wide, hint=f"{hint}.gated")
    weight = np.concatenate(list(found.bank), axis=1)
    inputs = [gated, editor.weight(weight, f"{hint}.weight"), editor.weight(found.bias, f"{hint}.bias")]
    y = editor.op("Conv", inputs, found.attributes(), shape=editor.shape(found.y), hint=hint)
    editor.replace(found.y, y)
    return True


REWRITE = rewrite(__name__, "alternative", ("Conv",), _apply)
