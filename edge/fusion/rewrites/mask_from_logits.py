"""The last sigmoid or softmax dropped where only the mask is wanted.

::

    z ─ Sigmoid ─ p        z            mask: p ≥ t  is  z ≥ logit(t)
    z ─ Softmax ─ p        z            mask: p₁ ≥ t is  z₁ - z₀ ≥ logit(t); argmax p is argmax z

Algebra: both are strictly increasing in what decides. The values change from probabilities to logits, so this is exact
for the mask alone: the task must then say ``output = "logits"``, which :func:`edge.fusion.for_masks` sees to. It is
never part of a default set.

Pays by one pass of exponentials over the output.
"""

from __future__ import annotations

import onnx_ir as ir

from edge.fusion.rewrite import rewrite
from edge.graph.editor import Editor, integer


def _apply(editor: Editor, node: ir.Node) -> bool:
    y, z = node.outputs[0], node.inputs[0]
    shape = editor.shape(y)
    if not y.is_graph_output() or y.uses() or z is None or shape is None or z.producer() is None:
        return False
    if node.op_type == "Softmax" and integer(node, "axis", -1) % len(shape) != 1:
        return False
    if editor.user(z) is not node:  # read elsewhere too: renaming it would not be clean
        return False
    editor.replace(y, z)
    return True


REWRITE = rewrite(__name__, "optional", ("Sigmoid", "Softmax"), _apply, mask_only=True)
