"""GridSample with the names of its modes as before opset 20.

::

    x, grid ─ GridSample[mode=linear] ─ y
    x, grid ─ GridSample[mode=bilinear] ─ y

The arithmetic is the same; of an image, linear in both axes was called bilinear.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.graph.editor import Editor, text
from edge.graph.rewrite import rewrite
from edge.lowering.conditions import where_opset_below

_EARLIER = {"linear": "bilinear", "cubic": "bicubic"}


def _apply(editor: Editor, node: ir.Node) -> None:
    mode = text(node, "mode", "linear")
    node.attributes["mode"] = ir.AttrString("mode", _EARLIER.get(mode, mode))


REWRITE = rewrite(__name__, where_opset_below(20), ("GridSample",), _apply)
