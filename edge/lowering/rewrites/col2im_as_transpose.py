"""Col2Im of blocks that do not overlap as a Transpose, as MobileViT puts its patches together.

::

    x ─ Col2Im(block 2x2, strides 2x2) ─ y                           [N, C*2*2, h*w] to [N, C, 2h, 2w]

    x ─ Reshape [N, C, 2, 2, h, w] ─ Transpose [N, C, h, 2, w, 2] ─ Reshape [N, C, 2h, 2w]

Exact: every pixel of the image lies in one block. Blocks that overlap are added up, and stay.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, ints
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_lacking
from edge.lowering.values import static_shape, take_over


def _apply(editor: Editor, node: ir.Node) -> bool | None:
    image, block = (editor.array(node.inputs[index]) for index in (1, 2))
    if image is None or block is None or image.size != 2:
        return False
    (height, width), (rows, columns) = image.tolist(), block.tolist()
    apart = ints(node, "strides", (1, 1)) == (rows, columns) and height % rows == 0 and width % columns == 0
    if not apart or any(ints(node, "pads", (0,))) or set(ints(node, "dilations", (1,))) != {1}:
        return False
    x, name = node.inputs[0], node.name or "col2im"
    batch, values, _ = static_shape(editor, x)
    assert x is not None
    channels, down, across = values // (rows * columns), height // rows, width // columns

    def reshape(value: ir.Value, to: tuple[int, ...]) -> ir.Value:
        target = editor.weight(np.array(to, np.int64), f"{name}.shape")
        return editor.op("Reshape", [value, target], shape=to, hint=f"{name}.reshape")

    blocks = reshape(x, (batch, channels, rows, columns, down, across))
    placed = (batch, channels, down, rows, across, columns)
    turned = editor.op("Transpose", [blocks], {"perm": (0, 1, 4, 2, 5, 3)}, shape=placed, hint=f"{name}.placed")
    take_over(editor, node.outputs[0], reshape(turned, (batch, channels, height, width)))
    return None


REWRITE = rewrite(__name__, where_lacking("Col2Im"), ("Col2Im",), _apply)
