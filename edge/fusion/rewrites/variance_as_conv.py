"""A mean over channels as a 1×1 convolution.

::

    x ─ ReduceMean(axis 1) ─ m        x ─ Conv 1×1 (weights 1/C) ─ m          [N, C, H, W] -> [N, 1, H, W]

Algebra: ``mean_c x = Σ_c x_c / C``.

Pays where the compiler's convolution kernels keep the blocked layout that its reductions leave (OpenVINO on CPU puts
a reorder before every reduction over channels), and in BF16, where the products run on the dot-product units.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, pointwise
from edge.fusion.rewrites._reduce import is_channel_mean
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, mean: ir.Node) -> bool:
    x = mean.inputs[0]
    shape = editor.shape(x)
    if x is None or shape is None or not is_channel_mean(editor, mean):
        return False
    channels = shape[1]
    weight = np.full((1, channels), 1.0 / channels)
    plane = (shape[0], 1, *shape[2:])
    editor.replace(mean.outputs[0], pointwise(editor, x, weight, None, shape=plane, hint=base(mean)))
    return True


REWRITE = rewrite(__name__, "optional", ("ReduceMean",), _apply)
