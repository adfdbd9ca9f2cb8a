"""Equal upsamples of the terms of a sum merged into one.

::

    a ─ Resize ×s ─┐                     a ─┐
    b ─ Resize ×s ─┴ Add ─ y             b ─┴ Add ─ Resize ×s ─ y

Algebra: the resize is linear. Always pays where the map grows: one resize less and a smaller sum. In a longer sum the
terms are regrouped by their resize.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base
from edge.fusion.rewrites._resize import Upsample, read_upsample, resize_like, same_resize
from edge.fusion.rewrites.pointwise_through_add import sum_terms
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    y = node.outputs[0]
    outer = editor.user(y)
    if outer is not None and outer.op_type == "Add" and editor.shape(outer.outputs[0]) == editor.shape(y):
        return False  # the root of the sum sees all its terms
    shape = editor.shape(y)
    if shape is None or any(editor.shape(value) != shape for value in node.inputs):
        return False
    groups: list[list[Upsample]] = []
    rest: list[ir.Value] = []
    for term in [leaf for value in node.inputs for leaf in sum_terms(editor, value)]:
        up = read_upsample(editor, editor.own(term, "Resize"))
        if up is None or not up.grows:
            rest.append(term)
            continue
        home = next((g for g in groups if same_resize(g[0], up, editor)), None)
        if home is None:
            groups.append([up])
        else:
            home.append(up)
    if all(len(group) == 1 for group in groups):
        return False
    hint = base(node)
    terms = list(rest)
    for group in groups:
        small = _total(editor, [up.x for up in group], f"{hint}.small")
        terms.append(resize_like(editor, group[0], small, shape[1], base(group[0].node)))
    editor.replace(y, _total(editor, terms, hint))
    return True


def _total(editor: Editor, terms: list[ir.Value], hint: str) -> ir.Value:
    total = terms[0]
    for term in terms[1:]:
        total = editor.op("Add", [total, term], shape=editor.shape(terms[0]), hint=hint)
    return total


REWRITE = rewrite(__name__, "safe", ("Add",), _apply)
