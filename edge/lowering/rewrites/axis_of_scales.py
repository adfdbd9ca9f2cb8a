"""Quantize and dequantize nodes with their axis written.

::

    w ─ DequantizeLinear(16 scales) ─ y
    w ─ DequantizeLinear[axis=1](16 scales) ─ y

ONNX's default is 1; TensorRT took a missing axis as 0 up to at least 10.1 and as 1 by 10.13.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import always


def _apply(editor: Editor, node: ir.Node) -> None:
    shape = editor.shape(node.inputs[1])
    if "axis" not in node.attributes and shape is not None and len(shape) == 1:
        node.attributes["axis"] = ir.AttrInt64("axis", 1)


REWRITE = rewrite(__name__, always, ("QuantizeLinear", "DequantizeLinear"), _apply)
