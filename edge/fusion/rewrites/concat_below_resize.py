"""Equal upsamples of neighbours in a concatenation merged into one.

::

    a ─ Resize ×s ─┐                        a ─┐
    b ─ Resize ×s ─┼ Concat(1) ─ y          b ─┴ Concat(1) ─ Resize ×s ─┐
    c ─────────────┘                        c ──────────────────────────┴ Concat(1) ─ y

Algebra: the resize does the same to every channel, so it may see them together. Neighbours only: another order would
move the channels of ``y``.

Pays where a compiler's concatenation is slow, since one of the small maps takes its place; a resize less always.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.conv import base
from edge.fusion.rewrites._resize import Upsample, read_upsample, resize_like, same_resize
from edge.graph.editor import Editor, integer
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    shape = editor.shape(node.outputs[0])
    if shape is None or len(shape) != 4 or integer(node, "axis", 0) not in (1, -3):
        return False
    runs: list[list[ir.Value]] = []
    last: Upsample | None = None
    for value in node.inputs:
        if value is None:
            return False
        up = read_upsample(editor, editor.own(value, "Resize"))
        if up is not None and last is not None and up.grows and same_resize(last, up, editor):
            runs[-1].append(value)
        else:
            runs.append([value])
        last = up
    if all(len(run) == 1 for run in runs):
        return False
    hint = base(node)
    merged = [_merge(editor, run, hint) if len(run) > 1 else run[0] for run in runs]
    y = merged[0] if len(merged) == 1 else editor.op("Concat", merged, {"axis": 1}, shape=shape, hint=hint)
    editor.replace(node.outputs[0], y)
    return True


def _merge(editor: Editor, run: list[ir.Value], hint: str) -> ir.Value:
    ups = [up for value in run if (up := read_upsample(editor, value.producer())) is not None]
    channels = sum(up.before[1] for up in ups)
    small = (ups[0].before[0], channels, *ups[0].before[2:])
    joined = editor.op("Concat", [up.x for up in ups], {"axis": 1}, shape=small, hint=f"{hint}.small")
    return resize_like(editor, ups[0], joined, channels, base(ups[0].node))


REWRITE = rewrite(__name__, "optional", ("Concat",), _apply)
