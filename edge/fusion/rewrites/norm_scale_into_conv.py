"""The scale of a channel norm, folded into the convolution before it.

::

    Conv(W, b) ─ c ─┬─ Mul(c, c) ─ mean ─ … ─ s ─┐        Conv(γW, γb) ─ c' ─┬─ Mul ─ Conv 1×1 (1 / Cγ²) ─ … ─ s ─┐
                    └────────────────────────── Mul ─ Mul γ                   └─────────────────────────────── Mul ─

Algebra: with ``c' = γ c`` (per channel), ``γ (c s) = c' s`` and ``mean_c c² = Σ_c c'² / (C γ_c²)``: the variance is
still that of ``c``, read through a weighted sum. Refused where some ``|γ_c|`` is under a thousandth of the largest,
because the division would then cost digits.

Pays a little everywhere: one multiplication per element less.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.fusion.conv import base, conv, pointwise, read_conv
from edge.fusion.rewrites._reduce import is_channel_mean
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite

_SMALLEST = 1e-3


def _apply(editor: Editor, scaling: ir.Node) -> bool:
    normed, scale = scaling.inputs
    gamma = editor.array(scale)
    product = editor.own(normed, "Mul")
    shape = editor.shape(normed)
    if gamma is None or product is None or shape is None or gamma.size != shape[1] or gamma.shape[-2:] != (1, 1):
        return False
    centred = product.inputs[0]
    found = read_conv(editor, centred.producer() if centred is not None else None)
    if found is None or centred is None or centred.is_graph_output():
        return False
    users = {use.node for use in centred.uses()}
    squares = [n for n in users if n.op_type == "Mul" and n.inputs[0] is centred and n.inputs[1] is centred]
    if len(squares) != 1 or users != {squares[0], product}:
        return False
    square = squares[0]
    mean = editor.user(square.outputs[0])
    if mean is None:
        return False
    plane = (shape[0], 1, *shape[2:])
    flat = gamma.reshape(-1).astype(np.float64)
    if np.abs(flat).min() < _SMALLEST * np.abs(flat).max():
        return False
    summing = read_conv(editor, mean)
    if mean.op_type == "ReduceMean" and is_channel_mean(editor, mean):
        weights = np.full((1, shape[1]), 1.0 / shape[1])
    elif summing is not None and summing.pointwise and summing.outputs == 1 and not summing.bias.any():
        weights = summing.weight.reshape(1, -1)
    else:
        return False
    weight, bias = found.weight * flat[:, None, None, None], found.bias * flat
    scaled = conv(editor, found, found.x, weight, bias, shape=shape, hint=base(found.node))
    again = editor.op("Mul", [scaled, scaled], shape=shape, hint=base(square))
    variance = pointwise(editor, again, weights / flat**2, None, shape=plane, hint=base(mean))
    editor.replace(mean.outputs[0], variance)
    result = editor.op("Mul", [scaled, product.inputs[1]], shape=shape, hint=base(product))
    editor.replace(scaling.outputs[0], result)
    return True


REWRITE = rewrite(__name__, "optional", ("Mul",), _apply)
