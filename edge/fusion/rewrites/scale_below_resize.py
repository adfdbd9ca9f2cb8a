"""A per-channel factor moved below (before) an upsample.

::

    x ─ Resize ×s ─ Mul a[C,1,1] ─ y        x ─ Mul a[C,1,1] ─ Resize ×s ─ y

Algebra: the resize is linear and the same for every channel, so a factor per channel commutes with it, constant or
computed (attention weights). A per-channel Add commutes as well, because the resize's weights sum to 1.

Pays where the map grows: s² fewer elements, and the factor often fuses into what made the small map.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base
from edge.fusion.rewrites._resize import read_upsample, resize_like
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    for index in (0, 1):
        factor = node.inputs[1 - index]
        up = read_upsample(editor, editor.own(node.inputs[index], "Resize"))
        shape = editor.shape(factor)
        if up is None or not up.grows or factor is None or shape is None:
            continue
        if len(shape) == 4 and shape[2:] == (1, 1) and shape[1] in (1, up.before[1]) and shape[0] in (1, up.before[0]):
            small = editor.op(node.op_type, [up.x, factor], shape=up.before, hint=base(node))
            editor.replace(node.outputs[0], resize_like(editor, up, small, up.before[1], base(up.node)))
            return True
    return False


REWRITE = rewrite(__name__, "optional", ("Mul", "Add"), _apply)
