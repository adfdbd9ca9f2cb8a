"""The mean of an upsampled map taken from the map before.

::

    x ─ Resize ×s ─┬─ ReduceMean(H, W) ─ m        x ─┬─ Resize ×s ─ …
                   └─ …                              └─ ReduceMean(H, W) ─ m

Algebra: ``mean(R x) = (1ᵀR / n) x``; when every source pixel has the same total weight in the output (half-pixel
upsampling by a whole factor, nearest by a whole factor) that is ``mean(x)``. The column sums of ``R`` are computed
and compared; align-corners fails and is refused.

Always pays: s² fewer elements, and the upsampled map loses a reader.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base
from edge.fusion.float64 import resize_matrix
from edge.fusion.rewrites._reduce import axes
from edge.fusion.rewrites._resize import Upsample, read_upsample
from edge.graph.editor import Editor, integer, text
from edge.graph.rewrite import rewrite

_KEYS = ("mode", "coordinate_transformation_mode", "nearest_mode")


def _apply(editor: Editor, node: ir.Node) -> bool:
    if node.op_type == "ReduceMean" and axes(editor, node) not in ((2, 3), (3, 2)):
        return False
    up = read_upsample(editor, editor.producer(node.inputs[0], "Resize"))
    if up is None or not up.grows or not _even(up):
        return False
    attributes = {"keepdims": integer(node, "keepdims", 1)} if node.op_type == "ReduceMean" else {}
    mean = editor.op(
        node.op_type, [up.x, *node.inputs[1:]], attributes, shape=editor.shape(node.outputs[0]), hint=base(node)
    )
    editor.replace(node.outputs[0], mean)
    return True


def _even(up: Upsample) -> bool:
    attributes = {key: text(up.node, key, "") or None for key in _KEYS}
    for before, after in zip(up.before[2:], up.after[2:], strict=True):
        if after % before:
            return False
        try:
            sums = resize_matrix(before, after, after / before, attributes).sum(axis=0)
        except NotImplementedError:
            return False
        if not np.allclose(sums, after / before, rtol=1e-12):
            return False
    return True


REWRITE = rewrite(__name__, "safe", ("ReduceMean", "GlobalAveragePool"), _apply)
