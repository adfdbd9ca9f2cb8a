"""Housekeeping: constants folded, shape arithmetic resolved, identities and dead branches dropped.

::

    Shape ─ Gather ─ Concat ─ Reshape        Reshape (constant)
    Identity, Dropout, x·1, x+0              (gone)
    outputs that the task does not read      (gone, with all that only they need)

Algebra: none; every shape is static, so all of this is known before running. Always pays.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edge.fusion.conv import base
from edge.graph.editor import Editor
from edge.graph.rewrite import Rewrite, rewrite_name
from edge.safety.watchdog import native_call

# Weights that a fold would blow up (an expanded mask, a repeated kernel) stay as they are.
_LARGEST_FOLD = 1 << 16


def _sweep(editor: Editor) -> int:
    before = editor.graph.num_nodes()
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(editor.model)
    lifted = before - editor.graph.num_nodes()
    _fold(editor)
    _drop_neutral(editor)
    passes.IdentityEliminationPass()(editor.model)
    passes.CommonSubexpressionEliminationPass()(editor.model)
    passes.RemoveUnusedNodesPass()(editor.model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(editor.model)
    return max(0, before - lifted - editor.graph.num_nodes())


def _fold(editor: Editor) -> None:
    from onnxscript import optimizer

    with native_call("the graph", "the folding of its constants"):
        optimizer.fold_constants(editor.model, input_size_limit=_LARGEST_FOLD, output_size_limit=_LARGEST_FOLD)
    for node in editor.nodes("Reshape"):  # of weights, however large: nothing is blown up
        array, shape = editor.array(node.inputs[0]), editor.shape(node.outputs[0])
        if array is not None and shape is not None and not node.outputs[0].is_graph_output():
            editor.replace(node.outputs[0], editor.weight(array.reshape(shape), base(node)))


def _drop_neutral(editor: Editor) -> None:
    for node in editor.nodes("Mul", "Add", "Sub", "Div", "Dropout"):
        x = node.inputs[0]
        if node.op_type == "Dropout":
            if x is not None and len(node.outputs) == 1:
                editor.replace(node.outputs[0], x)
            continue
        constant = editor.array(node.inputs[1])
        neutral = 1.0 if node.op_type in ("Mul", "Div") else 0.0
        same = editor.shape(x) is not None and editor.shape(x) == editor.shape(node.outputs[0])
        if x is not None and constant is not None and same and np.all(constant == neutral):
            editor.replace(node.outputs[0], x)


def keep_output(model: ir.Model, name: str) -> None:
    """Let the graph return only the output that the task reads."""
    wanted = [output for output in model.graph.outputs if output.name == name]
    if wanted and len(model.graph.outputs) > 1:
        model.graph.outputs[:] = wanted


REWRITE = Rewrite(rewrite_name(__name__), "safe", _sweep)
