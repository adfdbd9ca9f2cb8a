"""A 1×1 convolution of a sum taken apart over the terms.

::

    a ─┐                                   a ─ Conv 1×1 (W, b) ─┐
    b ─┴ Add ─ Conv 1×1 (W, b) ─ y         b ─ Conv 1×1 (W) ─── Add ─ y

Algebra: ``W (a + b) = W a + W b``.

Pays only where some term comes from an upsample, because its part can then run on the small map; so it applies only
there, and only where the convolution does not widen.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base, pointwise, read_conv
from edge.fusion.rewrites._resize import read_upsample
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_conv(editor, node)
    if found is None or not found.pointwise or found.outputs > found.inputs:
        return False
    terms = sum_terms(editor, found.x)
    shape = editor.shape(found.y)
    if len(terms) < 2 or shape is None or not any(_from_upsample(editor, term) for term in terms):
        return False
    total: ir.Value | None = None
    for index, term in enumerate(terms):
        hint = f"{base(node)}.term{index}"
        bias = found.bias if index == 0 else None
        part = pointwise(editor, term, found.weight[:, :, 0, 0], bias, shape=shape, hint=hint)
        total = part if total is None else editor.op("Add", [total, part], shape=shape, hint=f"{base(node)}.sum")
    assert total is not None
    editor.replace(found.y, total)
    return True


def sum_terms(editor: Editor, value: ir.Value | None) -> list[ir.Value]:
    """The terms of a tree of equal-shaped Adds that nothing else reads; the value itself where there is none."""
    node = editor.own(value, "Add")
    if node is None:
        return [value] if value is not None else []
    shape = editor.shape(value)
    if any(editor.shape(term) != shape for term in node.inputs):
        return [value] if value is not None else []
    return [leaf for term in node.inputs for leaf in sum_terms(editor, term)]


def _from_upsample(editor: Editor, value: ir.Value) -> bool:
    up = read_upsample(editor, editor.own(value, "Resize"))
    return up is not None and up.grows


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
