"""A 1×1 convolution moved below (before) an upsample.

::

    x ─ Resize ×s ─ Conv 1×1 (W, b) ─ y        x ─ Conv 1×1 (W, b) ─ Resize ×s ─ y

Algebra: bilinear and nearest resizes are one matrix ``R`` over pixels, a 1×1 convolution one matrix over channels, so
they commute; the bias passes through because the rows of ``R`` sum to 1.

Pays where the map grows (s² fewer multiplications) and does not gain channels (the resize is then cheaper too).
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base, pointwise, read_conv
from edge.fusion.rewrites._resize import read_upsample, resize_like
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_conv(editor, node)
    if found is None or not found.pointwise:
        return False
    up = read_upsample(editor, editor.own(found.x, "Resize"))
    if up is None or not up.grows or found.outputs > found.inputs:
        return False
    shape = (up.before[0], found.outputs, *up.before[2:])
    has_bias = len(node.inputs) > 2
    small = pointwise(
        editor, up.x, found.weight[:, :, 0, 0], found.bias if has_bias else None, shape=shape, hint=base(node)
    )
    editor.replace(found.y, resize_like(editor, up, small, found.outputs, base(up.node)))
    return True


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
