"""GroupNormalization as an InstanceNormalization over groups.

::

    x ─ GroupNormalization(γ, β) ─ y                                                                  [N, C, ...]

    x ─ Reshape [N, G, -1] ─ InstanceNormalization(1, 0) ─ Reshape [N, C, ...] ─ Mul γ ─ Add β ─ y

Exact: a group is one instance. Opset 18 gives γ and β for each group, opset 21 for each channel; TensorRT reads the
first form up to 10.8 and the second from 10.9, so neither serves everywhere.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, integer, number
from edge.graph.rewrite import rewrite
from edge.lowering.parsers import Parser
from edge.lowering.values import float_input, static_shape, take_over


def _needed(parser: Parser, opset: int) -> bool:
    return "GroupNormalization" not in parser.operators or min(opset, parser.opset) < 21


def _apply(editor: Editor, node: ir.Node) -> None:
    x, name = float_input(node), node.name or "group_norm"
    shape = static_shape(editor, x)
    groups, channels = integer(node, "num_groups", 1), shape[1]
    flat = (shape[0], groups, math.prod(shape[1:]) // groups)

    def reshape(value: ir.Value, to: tuple[int, ...]) -> ir.Value:
        target = editor.weight(np.array(to, np.int64), f"{name}.shape")
        return editor.op("Reshape", [value, target], shape=to, hint=f"{name}.reshape")

    def per_channel(index: int) -> ir.Value:
        array = editor.array(float_input(node, index))
        if array is None:  # a computed scale: one a channel, or repeated for each channel of its group
            return reshape(float_input(node, index), (1, channels, *(1 for _ in shape[2:])))
        each = np.repeat(array, channels // array.size)
        return editor.weight(each.reshape(1, channels, *(1 for _ in shape[2:])), f"{name}.affine")

    one = editor.weight(np.ones(groups, np.float32), f"{name}.one")
    zero = editor.weight(np.zeros(groups, np.float32), f"{name}.zero")
    options = {"epsilon": number(node, "epsilon", 1e-5)}
    normed = editor.op("InstanceNormalization", [reshape(x, flat), one, zero], options, shape=flat, hint=f"{name}.norm")
    y = editor.op("Mul", [reshape(normed, shape), per_channel(1)], shape=shape, hint=f"{name}.scaled")
    take_over(editor, node.outputs[0], editor.op("Add", [y, per_channel(2)], shape=shape, hint=f"{name}.shifted"))


REWRITE = rewrite(__name__, _needed, ("GroupNormalization",), _apply)
