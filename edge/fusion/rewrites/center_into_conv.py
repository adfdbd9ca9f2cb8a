"""The centring of a channel norm, folded into the convolution before it.

::

    x ─ Conv(W, b) ─┬─ ReduceMean(1) ─ Sub ─ c        x ─ Conv(W - mean_o W, b - mean_o b) ─ c
                    └──────────────────┘

Algebra: the mean over output channels of a linear map is a linear map with the mean of its filters, so
``Wx + b - mean_o(Wx + b) = (W - mean_o W) x + (b - mean_o b)``. Holds at zero-padded borders too.
With groups it does not (a group's filters see other inputs), so grouped convolutions are left alone.

Always pays: two passes over the map become none.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base, conv, read_conv
from edge.fusion.rewrites._reduce import is_channel_mean
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, sub: ir.Node) -> bool:
    whole, mean = sub.inputs
    reduction = editor.own(mean, "ReduceMean")
    if whole is None or reduction is None or not is_channel_mean(editor, reduction) or reduction.inputs[0] is not whole:
        return False
    found = read_conv(editor, whole.producer())
    if found is None or found.groups != 1 or whole.is_graph_output():
        return False
    if {use.node for use in whole.uses()} != {sub, reduction}:
        return False
    weight = found.weight - found.weight.mean(axis=0, keepdims=True)
    bias = found.bias - found.bias.mean()
    result = conv(editor, found, found.x, weight, bias, shape=editor.shape(whole), hint=base(found.node))
    editor.replace(sub.outputs[0], result)
    return True


REWRITE = rewrite(__name__, "safe", ("Sub",), _apply)
