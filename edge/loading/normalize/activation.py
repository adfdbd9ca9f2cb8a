"""Activation: a last Sigmoid or Softmax is cut off where the task says that the graph returns logits.

Masks are the same, logits show an engine's noise better, and a task that is right for the network stays as it is.
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.loading.normalize.edit import cancel_transposes, inferred, makers, rename_reads, set_output
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute

_SHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")


def _apply(draft: Draft) -> Change | None:
    task = draft.task
    if task is None or task.output != "logits" or task.activation == "none":
        return None
    last = last_activation(draft)
    if last is None:
        return None
    name, proto = draft.output_name, draft.copy()
    shape = output_shapes(draft).get(name, ())
    if last.output[0] == name:
        set_output(proto, name, last.input[0], shape)
    else:
        rename_reads(proto, last.output[0], last.input[0])
        cancel_transposes(proto)
    note = (
        f"{draft.where}: ends in {last.op_type}, but the task says that it returns logits; the {last.op_type} was cut "
        'off (output = "probabilities" in the task keeps it)'
    )
    return Change(draft.with_proto(inferred(proto)), note, new=sigmoid if last.op_type == "Sigmoid" else softmax)


def last_activation(draft: Draft) -> onnx.NodeProto | None:
    """The Sigmoid, or Softmax over classes, that the output comes from; through nothing but changes of layout.

    A Sigmoid may have changes of shape behind it too, since it knows no axes.
    """
    made = makers(draft.proto)
    found, axis = made.get(draft.output_name), 1
    reshaped = False
    while found is not None and found.op_type in ("Identity", "Transpose", *_SHAPES):
        reshaped = reshaped or found.op_type in _SHAPES
        order = attribute(found, "perm", (0, 1, 2, 3))
        if found.op_type == "Transpose":
            axis, reshaped = (order[axis], reshaped) if len(order) > axis else (axis, True)
        found = made.get(found.input[0])
    if found is None:
        return None
    readers = sum(list(one.input).count(found.output[0]) for one in draft.proto.graph.node)
    alone = readers == (found.output[0] != draft.output_name)
    over_classes = not reshaped and found.op_type == "Softmax" and attribute(found, "axis", -1) % 4 == axis
    return found if alone and (found.op_type == "Sigmoid" or over_classes) else None


def sigmoid(logits: Array) -> Array:
    """Logits to probabilities, in float64."""
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))


def softmax(logits: Array) -> Array:
    """Logits to probabilities over axis 1, in float64."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True).astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)


STEP = Step("activation", _apply)
