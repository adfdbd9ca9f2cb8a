"""A bilinear upsample of very few channels as a small convolution.

::

    x ─ Resize linear ×s ─ y        x ─ Pad(edge, 1) ─ Conv 3×3, depthwise, s² filters each ─ DepthToSpace(s) ─ y

Algebra: half-pixel bilinear upsampling by a whole factor gives each of the s² phases fixed weights on a 3×3
neighbourhood (each 2×2 of it); clamping at the border is repeating the edge.

Pays for one to four channels, where vector units run a resize one pixel at a time.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import base
from edge.fusion.rewrites._resize import filter_neighbours, half_pixel_factor, read_upsample
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite

_FEW = 4


def _apply(editor: Editor, node: ir.Node) -> bool:
    up = read_upsample(editor, node)
    factor = half_pixel_factor(editor, up) if up is not None else None
    if up is None or factor is None or up.before[1] > _FEW or min(up.before[2:]) < 2:
        return False
    hint = base(node)
    rows = _weights(factor)
    filters = np.einsum("pa,qb->pqab", rows, rows).reshape(factor**2, 3, 3)
    phases = filter_neighbours(editor, up.x, up.before, filters, hint)
    spread = editor.op(
        "DepthToSpace", [phases], {"blocksize": factor, "mode": "CRD"}, shape=up.after, hint=f"{hint}.spread"
    )
    editor.replace(up.y, spread)
    return True


def _weights(factor: int) -> NDArray[np.float64]:
    """``[factor, 3]``: weights of the left, own and right source pixel for every phase."""
    at = (np.arange(factor) + 0.5) / factor - 0.5
    left, right = np.maximum(-at, 0.0), np.maximum(at, 0.0)
    return np.stack([left, 1.0 - left - right, right], axis=1)


REWRITE = rewrite(__name__, "optional", ("Resize",), _apply)
