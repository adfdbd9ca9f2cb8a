"""A spatial gate moved behind a narrowing 1×1 convolution.

::

    a ─ Mul s[1,H,W] ─ Conv 1×1 (W, b) ─ y        a ─ Conv 1×1 (W) ─ Mul s ─ Add b ─ y

Algebra: ``s`` is one number per pixel and the convolution a matrix per pixel, so ``W (s a) = s (W a)``.

Pays where the convolution narrows: the gate multiplies fewer channels, and several convolutions of ``a`` then read
the same map.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base, pointwise, read_conv
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_conv(editor, node)
    if found is None or not found.pointwise or found.outputs >= found.inputs:
        return False
    product = editor.own(found.x, "Mul")
    shape = editor.shape(found.y)
    if product is None or shape is None:
        return False
    for a, s in (tuple(product.inputs), tuple(reversed(product.inputs))):
        gate, wide = editor.shape(s), editor.shape(a)
        if a is None or s is None or gate != (shape[0], 1, *shape[2:]) or wide != editor.shape(found.x):
            continue
        hint = base(node)
        result = pointwise(editor, a, found.weight[:, :, 0, 0], None, shape=shape, hint=hint)
        result = editor.op("Mul", [result, s], shape=shape, hint=base(product))
        if found.bias.any():
            bias = editor.weight(found.bias.reshape(1, -1, 1, 1), f"{hint}.bias")
            result = editor.op("Add", [result, bias], shape=shape, hint=f"{hint}.shifted")
        editor.replace(found.y, result)
        return True
    return False


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
