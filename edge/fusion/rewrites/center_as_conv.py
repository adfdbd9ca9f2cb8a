"""Centring over channels as one 1×1 convolution.

::

    x ─┬─ ReduceMean(1) ─ Sub ─ c        x ─ Conv 1×1 (I - 1/C) ─ c
       └──────────────────┘

Algebra: subtracting the mean over channels is the projection ``I - 11ᵀ/C``. Pays after a depthwise convolution, where
the centring cannot go into the filters: one pass that a compiler runs like any convolution, and into which the
norm's scale folds (``norm-scale-into-conv``).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, pointwise
from edge.fusion.rewrites._reduce import is_channel_mean
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite

# Beyond this the matrix costs more than two passes over the map.
_WIDEST = 128


def _apply(editor: Editor, sub: ir.Node) -> bool:
    whole, mean = sub.inputs
    reduction = editor.own(mean, "ReduceMean")
    shape = editor.shape(whole)
    if whole is None or reduction is None or not is_channel_mean(editor, reduction) or reduction.inputs[0] is not whole:
        return False
    if shape is None or shape[1] > _WIDEST:
        return False
    projection = np.eye(shape[1]) - 1.0 / shape[1]
    editor.replace(sub.outputs[0], pointwise(editor, whole, projection, None, shape=shape, hint=base(sub)))
    return True


REWRITE = rewrite(__name__, "optional", ("Sub",), _apply)
