"""Parallel convolutions of one map that are added, merged into one kernel (re-parameterisation).

::

    x ─┬─ Conv 3×3 (W, b) ─┐
       ├─ Conv 1×1 (V, c) ─┼ Add ─ y        x ─ Conv 3×3 (W + V·δ [+ I·δ], b + c) ─ y
       └─ (identity, BN) ──┘

Algebra: a 1×1 convolution is a 3×3 one whose filter is zero off the centre, the identity one whose centre is the unit
matrix, a batch norm (or any scale and shift ``a x + d``) one whose centre is ``diag(a)`` and whose bias is ``d``; sums
of convolutions of equal stride and padding are the convolution with the sum of filters (RepVGG, Ding et al. 2021).

Always pays: the smaller convolution and the addition are free.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import Conv, base, conv, read_conv
from edge.fusion.rewrites._affine import read_affine
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    one, two = (read_conv(editor, editor.own(value, "Conv")) for value in node.inputs)
    shape = editor.shape(node.outputs[0])
    if any(editor.shape(value) != shape for value in node.inputs):
        return False
    if one is not None and two is not None and one.x is two.x and _fits(one, two):
        return _merge(editor, node, one, two)
    for found, other in ((one, node.inputs[1]), (two, node.inputs[0])):
        if found is not None and found.inputs == found.outputs and _same_size(found):
            scale_shift = _scale_and_shift(editor, other, found.x)
            if scale_shift is not None:
                return _add_diagonal(editor, node, found, *scale_shift)
    return False


def _scale_and_shift(
    editor: Editor, value: ir.Value | None, x: ir.Value
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """``[C]`` each, where ``value`` is ``scale x + shift``."""
    if value is x:
        channels = (editor.shape(x) or (1, 1))[1]
        return np.ones(channels), np.zeros(channels)
    affine = read_affine(editor, editor.own(value, "BatchNormalization", "Mul", "Add", "Sub", "Div"))
    return (affine.scale, affine.shift) if affine is not None and affine.x is x else None


def _merge(editor: Editor, node: ir.Node, one: Conv, two: Conv) -> bool:
    large, small = (one, two) if one.kernel >= two.kernel else (two, one)
    weight = large.weight + _grown(small.weight, large.kernel)
    bias = one.bias + two.bias
    shape = editor.shape(node.outputs[0])
    editor.replace(node.outputs[0], conv(editor, large, large.x, weight, bias, shape=shape, hint=base(large.node)))
    return True


def _add_diagonal(
    editor: Editor, node: ir.Node, found: Conv, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> bool:
    width = found.inputs // found.groups
    unit = np.zeros_like(found.weight)
    unit[np.arange(found.outputs), np.arange(found.outputs) % width, found.kernel[0] // 2, found.kernel[1] // 2] = scale
    shape = editor.shape(node.outputs[0])
    result = conv(editor, found, found.x, found.weight + unit, found.bias + shift, shape=shape, hint=base(found.node))
    editor.replace(node.outputs[0], result)
    return True


def _fits(one: Conv, two: Conv) -> bool:
    """Odd centred kernels of one stride and one group structure, so that centres coincide."""
    return (
        one.strides == two.strides
        and one.groups == two.groups
        and one.dilations == two.dilations == (1, 1)
        and (one.kernel >= two.kernel) == (one.kernel[1] >= two.kernel[1])
        and _centred(one)
        and _centred(two)
    )


def _centred(c: Conv) -> bool:
    odd = all(k % 2 == 1 for k in c.kernel)
    return odd and c.pads == (c.kernel[0] // 2, c.kernel[1] // 2) * 2


def _same_size(c: Conv) -> bool:
    return c.strides == (1, 1) and c.dilations == (1, 1) and _centred(c) and c.outputs % c.groups == 0


def _grown(weight: NDArray[np.float64], kernel: tuple[int, int]) -> NDArray[np.float64]:
    """Zero rows and columns around a filter, to a larger odd kernel."""
    rows, columns = ((k - w) // 2 for k, w in zip(kernel, weight.shape[2:], strict=True))
    return np.pad(weight, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


REWRITE = rewrite(__name__, "safe", ("Add",), _apply)
