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

from edge.fusion.rewrites._affine import fold_back, fold_forward, read_affine
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    affine = read_affine(editor, node)
    return affine is not None and (fold_back(editor, affine) or fold_forward(editor, affine))


REWRITE = rewrite(__name__, "safe", ("Mul", "Add", "Sub", "Div"), _apply)
