"""Recognising reductions over channels."""

from __future__ import annotations

import onnx_ir as ir

from edge.graph.editor import Editor, integer, ints


def axes(editor: Editor, node: ir.Node) -> tuple[int, ...] | None:
    """Constant axes of a reduction, non-negative; None where unknown."""
    shape = editor.shape(node.inputs[0])
    if shape is None:
        return None
    given = editor.array(node.inputs[1]) if len(node.inputs) > 1 else None
    listed = tuple(int(a) for a in given) if given is not None else ints(node, "axes", ())
    return tuple(a % len(shape) for a in listed) or None


def is_channel_mean(editor: Editor, node: ir.Node) -> bool:
    """Whether a ``ReduceMean`` averages the channels of an NCHW map and keeps the axis."""
    shape = editor.shape(node.inputs[0])
    return shape is not None and len(shape) == 4 and axes(editor, node) == (1,) and integer(node, "keepdims", 1) == 1
