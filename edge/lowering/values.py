"""Values of a graph as lowering rewrites read and replace them, with a sentence where one is not as they need it."""

from __future__ import annotations

import onnx_ir as ir

from edge.errors import InputError
from edge.graph.editor import Editor


def take_over(editor: Editor, old: ir.Value, new: ir.Value) -> None:
    """Let ``new`` stand for ``old`` under its name, which ranges and layer tables know it by."""
    output = old.is_graph_output()
    editor.replace(old, new)
    if not output:
        old.name, new.name = None, old.name


def float_input(node: ir.Node, index: int = 0) -> ir.Value:
    """An FP32 operand of a node.

    Raises:
        InputError: it is not FP32; decompositions are written in FP32 and cast afterwards.
    """
    value = node.inputs[index]
    if value is None or value.dtype not in (ir.DataType.FLOAT, None):
        raise InputError(f"{node.op_type} {node.name!r} is already FP16; lower the graph before it is cast")
    return value


def static_shape(editor: Editor, value: ir.Value | None) -> tuple[int, ...]:
    """A value's shape.

    Raises:
        InputError: it is not fully known.
    """
    shape = editor.shape(value)
    if shape is None:
        name = value.name if value is not None else ""
        raise InputError(f"the shape of {name!r} is not known, and lowering needs it; export with static shapes")
    return shape
