"""Reductions with their axes as an attribute, as before opset 18.

::

    x ─ ReduceMean(axes) ─ y          axes: an input, constant          (opset 18)
    x ─ ReduceMean[axes] ─ y          axes: an attribute                (opset 17)

TensorRT 8.x reads the first form, ignores the input and reduces over every axis, without a word.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.errors import InputError
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_opset_below

# ReduceSum takes its axes as an input since opset 13, and 8.x reads that one.
_OPS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSumSquare",
)  # fmt: skip


def _apply(editor: Editor, node: ir.Node) -> None:
    noop = node.attributes.pop("noop_with_empty_axes", None)
    given = node.inputs[1] if len(node.inputs) > 1 else None
    if given is None:
        if noop is not None and noop.as_int():
            raise InputError(f"{node.op_type} {node.name!r} reduces nothing; simplify the graph first")
        node.resize_inputs(1)
        return
    axes = editor.array(given)
    if axes is None:
        raise InputError(f"{node.op_type} {node.name!r} has computed axes; export with constant axes")
    node.resize_inputs(1)
    if axes.size:
        node.attributes["axes"] = ir.AttrInt64s("axes", [int(axis) for axis in axes])


REWRITE = rewrite(__name__, where_opset_below(18), _OPS, _apply)
