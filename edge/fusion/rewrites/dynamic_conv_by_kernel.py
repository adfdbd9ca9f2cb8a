"""A dynamic convolution by its kernel: mix the filters, convolve once.

::

    x ─ Conv (K·o maps) ─ Reshape [1,K,o,H,W] ─ Mul a ─ ReduceSum(1) ─ y     x ─ Conv ─ y
                                                                    a ─ Σ_k a_k W_k ┘

Algebra: ``Σ_k a_k (W_k x) = (Σ_k a_k W_k) x``. Only without a bias on the K·o maps: a mixed bias is not a constant.

Pays where multiplications do: 1/K of them, for K multiplications of each weight. The filters are computed then, so a
compiler that wants constants (INT8, TensorRT's tactics) has none; ``dynamic-conv-by-inputs`` is the way back.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, conv, read_conv
from edge.graph.editor import Editor, integer
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    shape, axes = editor.shape(node.outputs[0]), editor.array(node.inputs[1] if len(node.inputs) > 1 else None)
    product = editor.own(node.inputs[0], "Mul")
    if shape is None or len(shape) != 4 or axes is None or axes.tolist() != [1] or integer(node, "keepdims", 1):
        return False
    for maps, mixture in _orders(product):
        split = editor.own(maps, "Reshape")
        found = read_conv(editor, editor.own(split.inputs[0], "Conv")) if split is not None else None
        parts, rows = editor.shape(maps), editor.shape(mixture)
        if found is None or parts is None or rows is None or found.groups != 1 or found.bias.any():
            continue
        kernels = parts[1]
        if parts != (1, kernels, *shape[1:]) or rows != (1, kernels, 1, 1, 1):
            continue
        hint = base(found.node)
        bank = found.weight.reshape(kernels, shape[1], *found.weight.shape[1:])
        row = editor.op(
            "Reshape",
            [mixture, editor.weight(np.array([1, kernels], np.int64), f"{hint}.row")],
            shape=(1, kernels),
            hint=f"{hint}.mixture",
        )
        editor.replace(node.outputs[0], conv(editor, found.mixed_by(row), found.x, bank, None, shape=shape, hint=hint))
        return True
    return False


def _orders(product: ir.Node | None) -> list[tuple[ir.Value, ir.Value]]:
    """Both factors of a product in either order."""
    if product is None:
        return []
    one, two = product.inputs
    assert one is not None and two is not None
    return [(one, two), (two, one)]


REWRITE = rewrite(__name__, "optional", ("ReduceSum",), _apply)
