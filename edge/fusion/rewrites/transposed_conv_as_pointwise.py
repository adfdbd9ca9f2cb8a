"""A transposed convolution whose kernel equals its stride, as a 1×1 convolution and a reordering.

::

    x ─ ConvTranspose s×s, stride s (W, b) ─ y        x ─ Conv 1×1 (o s² filters, b) ─ DepthToSpace(s) ─ y

Algebra: kernel = stride means every input pixel writes its own s×s block: ``y[o, s u + p, s v + q] = Σ_i W[i, o, p, q]
x[i, u, v] + b[o]``, a matrix per pixel.

Pays where the compiler keeps ConvTranspose in float in an INT8 engine (TensorRT, OpenVINO beside a Concat) or runs it
on a slow kernel.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, pointwise
from edge.graph.editor import Editor, integer, ints, text
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    weight, shape = editor.array(node.inputs[1]), editor.shape(node.outputs[0])
    before = editor.shape(node.inputs[0])
    x = node.inputs[0]
    if weight is None or shape is None or before is None or x is None or weight.ndim != 4:
        return False
    kernel, strides = weight.shape[2:], ints(node, "strides", (1, 1))
    plain = (
        kernel == strides
        and kernel[0] == kernel[1] > 1
        and integer(node, "group", 1) == 1
        and not any(ints(node, "pads", (0,) * 4))
        and not any(ints(node, "output_padding", (0, 0)))
        and set(ints(node, "dilations", (1, 1))) == {1}
        and text(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and shape[2:] == (before[2] * kernel[0], before[3] * kernel[1])
    )
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = editor.array(node.inputs[2]) if has_bias else None
    if not plain or (has_bias and bias is None):
        return False
    s, hint = kernel[0], base(node)
    # DepthToSpace (DCR) reads channel (p s + q) out + o.
    matrix = weight.astype(np.float64).transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
    tiled = np.tile(bias.astype(np.float64), s * s) if bias is not None else None
    blocks = pointwise(editor, x, matrix, tiled, shape=(before[0], matrix.shape[0], *before[2:]), hint=hint)
    spread = editor.op("DepthToSpace", [blocks], {"blocksize": s, "mode": "DCR"}, shape=shape, hint=f"{hint}.spread")
    editor.replace(node.outputs[0], spread)
    return True


REWRITE = rewrite(__name__, "optional", ("ConvTranspose",), _apply)
