"""Split with its sizes written out, as before opset 18.

::

    x ─ Split[num_outputs=3] ─ a, b, c          10 elements: 4, 4, 2
    x ─ Split(4, 4, 2) ─ a, b, c

TensorRT 8.x divides evenly and drops what is left over.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edge.graph.editor import Editor, integer
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_opset_below
from edge.lowering.values import static_shape


def _apply(editor: Editor, node: ir.Node) -> None:
    node.attributes.pop("num_outputs", None)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        return
    shape = static_shape(editor, node.inputs[0])
    size, parts = shape[integer(node, "axis", 0)], len(node.outputs)
    chunk = math.ceil(size / parts)
    sizes = [min(chunk, size - i * chunk) for i in range(parts)]
    node.resize_inputs(2)
    node.replace_input_with(1, editor.weight(np.array(sizes, np.int64), f"{node.name}.sizes"))


REWRITE = rewrite(__name__, where_opset_below(18), ("Split",), _apply)
