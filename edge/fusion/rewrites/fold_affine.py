"""A per-channel constant scale or shift folded into the convolution before it.

::

    x ─ Conv(W, b) ─ Mul a ─ y      x ─ Conv(aW, ab) ─ y
    x ─ Conv(W, b) ─ Add d ─ y      x ─ Conv(W, b + d) ─ y

Algebra: the map after a convolution is linear in its filters. Always pays: a pass over the map less.
Where no convolution stands before it, the map goes forward into the unpadded convolutions that read it: input
normalisation into the first convolution.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base, conv, read_any_conv
from edge.fusion.editor import Editor
from edge.fusion.rewrite import rewrite
from edge.fusion.rewrites._affine import fold_forward, read_affine


def _apply(editor: Editor, node: ir.Node) -> bool:
    affine = read_affine(editor, node)
    if affine is None:
        return False
    found = read_any_conv(editor, editor.own(affine.x, "Conv"))
    if found is not None and not affine.x.is_graph_output():
        weight = found.bank * affine.scale[None, :, None, None, None]
        bias = found.bias * affine.scale + affine.shift
        result = conv(editor, found, found.x, weight, bias, shape=editor.shape(affine.y), hint=base(found.node))
        editor.replace(affine.y, result)
        return True
    return fold_forward(editor, affine)


REWRITE = rewrite(__name__, "safe", ("Mul", "Add", "Sub", "Div"), _apply)
