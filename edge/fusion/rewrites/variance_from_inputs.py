"""The variance of a widening 1×1 convolution's output, computed from its input.

::

    x ─ Conv 1×1 (W, b) ─ c ─ Mul(c, c) ─ Conv 1×1 (v) ─ var           [N, out, H, W], out > in + 1

    x ─┬─ Conv 1×1 (W, b) ─ c
       └─ Conv 1×1 (L, l) ─ Mul(·, ·) ─ Conv 1×1 (1) ─ var            [N, in + 1, H, W]

Algebra: with ``x̃ = [x; 1]`` and ``W̃ = [W b]``, ``Σ_o v_o c_o² = x̃ᵀ (W̃ᵀ diag(v) W̃) x̃``. The bracket is positive
semidefinite of size in + 1, so it is ``L̃ᵀ L̃`` with ``L̃ = [L l]`` from its eigenvalues, and the sum is
``‖L x + l‖²``: in + 1 squares per pixel instead of out. It stays a sum of squares, so nothing cancels.

Pays where a narrow map is widened before a channel norm.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, pointwise, read_conv
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    summing = read_conv(editor, node)
    if summing is None or not summing.pointwise or summing.outputs != 1 or summing.bias.any():
        return False
    square = editor.own(summing.x, "Mul")
    if square is None or square.inputs[0] is not square.inputs[1]:
        return False
    centred = square.inputs[0]
    found = read_conv(editor, editor.producer(centred, "Conv"))
    shape = editor.shape(centred)
    values = summing.weight.reshape(-1)
    if found is None or shape is None or not found.pointwise or found.outputs <= 2 * found.inputs:
        return False
    if (values < 0).any():
        return False
    wide = np.concatenate([found.weight[:, :, 0, 0], found.bias[:, None]], axis=1)
    gram = wide.T @ (values[:, None] * wide)
    powers, vectors = np.linalg.eigh(gram)
    kept = powers > powers.max() * 1e-15
    factor = np.sqrt(powers[kept])[:, None] * vectors[:, kept].T
    rank = factor.shape[0]
    narrow = (shape[0], rank, *shape[2:])
    root = pointwise(editor, found.x, factor[:, :-1], factor[:, -1], shape=narrow, hint=f"{base(node)}.root")
    squared = editor.op("Mul", [root, root], shape=narrow, hint=base(square))
    plane = (shape[0], 1, *shape[2:])
    editor.replace(summing.y, pointwise(editor, squared, np.ones((1, rank)), None, shape=plane, hint=base(node)))
    return True


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
