"""A convolution over a concatenation as a sum of convolutions.

::

    a ─┐                              a ─ Conv W_a ──────┐
    b ─┴ Concat(1) ─ Conv(W, b) ─ y   b ─ Conv(W_b, b) ─ Add ─ y

Algebra: ``W [a; b] = W_a a + W_b b`` with the filters' input channels split where the concatenation joins.

Pays where the concatenation runs on a slow kernel or where a branch can then move below its resize
(``pointwise-below-resize``); costs a pass over the output otherwise.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, conv, read_conv
from edge.graph.editor import Editor, integer
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_conv(editor, node)
    concat = editor.own(found.x, "Concat") if found is not None else None
    if found is None or concat is None or found.groups != 1:
        return False
    shape = editor.shape(found.y)
    if integer(concat, "axis", 0) not in (1, -3) or shape is None:
        return False
    parts = [value for value in concat.inputs if value is not None]
    shapes = [editor.shape(value) for value in parts]
    if any(s is None for s in shapes):
        return False
    ends = np.cumsum([s[1] for s in shapes if s is not None])[:-1]
    total: ir.Value | None = None
    for index, (part, weight) in enumerate(zip(parts, np.split(found.weight, ends, axis=1), strict=True)):
        bias = found.bias if index == 0 else None
        term = conv(editor, found, part, weight, bias, shape=shape, hint=f"{base(node)}.part{index}")
        total = term if total is None else editor.op("Add", [total, term], shape=shape, hint=f"{base(node)}.sum")
    assert total is not None
    editor.replace(found.y, total)
    return True


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
