"""Layer norm over the channels of an NCHW map, without the two transposes.

::

    x ─ Transpose(0,2,3,1) ─ LayerNorm(γ, β) ─ Transpose(0,3,1,2) ─ y          [N, C, H, W]

    x ─┬─ ReduceMean(1) ─ Sub ─ c ─┬─ Mul(c, c) ─ ReduceMean(1) ─ +ε ─ Sqrt ─ Reciprocal ─ s
       └──────────────────┘        └────────────────────────────────────── Mul(c, s) ─ Mul γ ─ Add β ─ y

Algebra: the definition of layer norm, ``y = γ (x - mean) / sqrt(var + ε) + β`` with mean and variance over axis 1.

Pays wherever the compiler keeps maps channel-blocked or would really move the data: both transposes go, and the
centring and variance become nodes that other rewrites fold away (``center-into-conv``, ``variance-as-conv``).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base
from edge.graph.editor import Editor, integer, ints, number
from edge.graph.rewrite import rewrite

_AXIS = np.array([1], dtype=np.int64)
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def _apply(editor: Editor, norm: ir.Node) -> bool:
    before = editor.producer(norm.inputs[0], "Transpose")
    after = editor.user(norm.outputs[0])
    if before is None or after is None or after.op_type != "Transpose":
        return False
    if ints(before, "perm", ()) != _TO_LAST or ints(after, "perm", ()) != _TO_FIRST:
        return False
    x, y = before.inputs[0], after.outputs[0]
    shape, scale = editor.shape(x), editor.array(norm.inputs[1])
    shift = editor.array(norm.inputs[2]) if len(norm.inputs) > 2 else None
    if x is None or shape is None or scale is None or integer(norm, "axis", -1) not in (-1, 3):
        return False
    hint = base(norm)
    plane = (shape[0], 1, *shape[2:])
    axis = editor.weight(_AXIS, f"{hint}.axis")
    mean = editor.op("ReduceMean", [x, axis], {"keepdims": 1}, shape=plane, hint=f"{hint}.mean")
    centred = editor.op("Sub", [x, mean], shape=shape, hint=f"{hint}.centred")
    square = editor.op("Mul", [centred, centred], shape=shape, hint=f"{hint}.square")
    variance = editor.op("ReduceMean", [square, axis], {"keepdims": 1}, shape=plane, hint=f"{hint}.variance")
    epsilon = editor.weight(np.array([number(norm, "epsilon", 1e-5)]), f"{hint}.epsilon")
    safe = editor.op("Add", [variance, epsilon], shape=plane, hint=f"{hint}.safe")
    root = editor.op("Sqrt", [safe], shape=plane, hint=f"{hint}.deviation")
    inverse = editor.op("Reciprocal", [root], shape=plane, hint=f"{hint}.inverse")
    result = editor.op("Mul", [centred, inverse], shape=shape, hint=f"{hint}.normed")
    result = editor.op(
        "Mul", [result, editor.weight(scale.reshape(1, -1, 1, 1), f"{hint}.scale")], shape=shape, hint=f"{hint}.scaled"
    )
    if shift is not None:
        result = editor.op(
            "Add",
            [result, editor.weight(shift.reshape(1, -1, 1, 1), f"{hint}.shift")],
            shape=shape,
            hint=f"{hint}.shifted",
        )
    editor.replace(y, result)
    return True


REWRITE = rewrite(__name__, "optional", ("LayerNormalization",), _apply)
