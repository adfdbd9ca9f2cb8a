"""INT8 weights as FP32 weights behind both halves of a pair.

::

    w (int8) ─ DequantizeLinear(s) ─ y
    w·s (float) ─ QuantizeLinear(s) ─ DequantizeLinear(s) ─ y

Exact: ``round(w·s / s)`` is ``w`` again, since two roundings move it by far less than half a step. TensorRT 8.x folds
this form into its INT8 kernels; INT8 initializers are only relied on from 10 on.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, integer
from edge.graph.rewrite import rewrite
from edge.lowering.parsers import Parser


def _needed(parser: Parser, opset: int) -> bool:
    return parser.weights == "float"


def _apply(editor: Editor, node: ir.Node) -> None:
    levels, scale = editor.array(node.inputs[0]), editor.array(node.inputs[1])
    if levels is None or scale is None or levels.dtype != np.int8:
        return
    weight = node.inputs[0]
    assert weight is not None
    axis = integer(node, "axis", 1)
    along = scale.reshape([-1 if i == axis else 1 for i in range(levels.ndim)]) if scale.size > 1 else scale.reshape(())
    real = editor.weight(levels.astype(np.float32) * along, f"{weight.name}_real")
    options = {"axis": axis} if scale.size > 1 else {}
    quantized = editor.op(
        "QuantizeLinear", [real, *node.inputs[1:3]], options, shape=levels.shape, hint=f"{weight.name}_quantize"
    )
    quantized.dtype = ir.DataType.INT8
    node.replace_input_with(0, quantized)


REWRITE = rewrite(__name__, _needed, ("DequantizeLinear",), _apply)
