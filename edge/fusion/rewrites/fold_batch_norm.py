"""Batch norm folded into the convolution before it, in both orders.

::

    x ─ Conv(W, b) ─ BN ─ y          x ─ Conv(aW, ab + d) ─ y
    x ─ BN ─ Conv(W, b) ─ y          x ─ Conv(Wa, b + Σ W d) ─ y            (only where nothing is padded)

Algebra: inference batch norm is ``a x + d`` with ``a = γ / sqrt(var + ε)``, ``d = β - a mean`` per channel. After a
convolution it scales and shifts the filters. Before one, the scale goes into the filters' inputs always, the shift
into the bias only where every window sees real pixels: a zero-padded border sees 0, not ``d``, and is refused.
Behind an activation (Conv ─ act ─ BN) the norm so goes forward into the convolutions that read it.

Always pays: a pass over the map less.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.rewrites._affine import fold_back, fold_forward, read_batch_norm
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    affine = read_batch_norm(editor, node)
    return affine is not None and (fold_back(editor, affine) or fold_forward(editor, affine))


REWRITE = rewrite(__name__, "safe", ("BatchNormalization",), _apply)
