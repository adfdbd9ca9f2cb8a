"""A bilinear upsample by 2 of many channels as a nearest one, blurred.

::

    x ─ Resize linear ×2 ─ y        x ─ Resize nearest ×2 ─ Pad(edge, 1) ─ Conv 3×3, depthwise, [1 2 1]/4 each way ─ y

Algebra: half-pixel upsampling by 2 makes ``(x[i-1] + 3 x[i]) / 4`` and ``(3 x[i] + x[i+1]) / 4`` of a row. Of the
doubled row ``… x[i-1], x[i], x[i], x[i+1] …`` the weights ``[1 2 1] / 4`` make the same two. Clamping at the border is
repeating the edge.

Nine multiplications a pixel more, so no better to begin with: pays where a compiler's depthwise convolution is that
much quicker than its resize, on a vector of channels or more (OpenVINO with AVX-512 in BF16: LightAWNet 1.03 times as
fast, LANet 1.00, LiteNeXt 0.99). Very few channels are left to ``bilinear_as_conv``.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base
from edge.fusion.rewrites._lanes import LANES
from edge.fusion.rewrites._resize import filter_neighbours, half_pixel_factor, read_upsample
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite

_BINOMIAL = np.array([0.25, 0.5, 0.25])


def _apply(editor: Editor, node: ir.Node) -> bool:
    up = read_upsample(editor, node)
    if up is None or up.before[1] < LANES or half_pixel_factor(editor, up) != 2:
        return False
    hint = base(node)
    # Copies of 2×2 by the rule that every compiler reads alike.
    doubled = editor.op(
        "Resize",
        [up.x, None, editor.weight(np.array([1.0, 1.0, 2.0, 2.0]), f"{hint}.scales")],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        shape=up.after,
        hint=f"{hint}.nearest",
    )
    kernel = np.outer(_BINOMIAL, _BINOMIAL)
    editor.replace(up.y, filter_neighbours(editor, doubled, up.after, kernel[None], hint))
    return True


REWRITE = rewrite(__name__, "alternative", ("Resize",), _apply)
