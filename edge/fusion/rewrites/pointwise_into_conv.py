"""A 1×1 convolution merged into the convolution before it.

::

    x ─ Conv k×k (W, b) ─ Conv 1×1 (P, q) ─ y        x ─ Conv k×k (PW, Pb + q) ─ y

Algebra: without an activation between them, two linear maps are one. The 1×1 comes second, so borders do not matter.
For a dynamic convolution, ``P Σ a_k W_k = Σ a_k (P W_k)``.

Pays where the merged filters issue no more multiplications than both together; applies only there.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, conv, read_any_conv, read_conv
from edge.fusion.rewrites._lanes import cost
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    second = read_conv(editor, node)
    first = read_any_conv(editor, editor.own(second.x, "Conv")) if second is not None else None
    if first is None or second is None or not second.pointwise or first.groups != 1:
        return False
    taps = first.kernel[0] * first.kernel[1]
    merged = cost(second.outputs, first.inputs, taps)
    if merged > cost(first.outputs, first.inputs, taps) + cost(second.outputs, second.inputs, 1):
        return False
    matrix = second.weight[:, :, 0, 0]
    bank = np.einsum("po,koihw->kpihw", matrix, first.bank)
    bias = matrix @ first.bias + second.bias
    editor.replace(second.y, conv(editor, first, first.x, bank, bias, shape=editor.shape(second.y), hint=base(node)))
    return True


REWRITE = rewrite(__name__, "safe", ("Conv",), _apply)
