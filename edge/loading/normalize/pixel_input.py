"""Pixel input: a graph that takes integer pixels and scales them itself gets a float32 image of the same levels.

The task must then leave the pixels as they are: whatever it says of scale, mean and std would be done twice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto

from edge.graph.model import graph_inputs
from edge.loading.normalize.edit import drop_unread, fresh, inferred, node, rename_reads, set_input
from edge.loading.normalize.step import Change, Draft, Step, attribute, static_dims

_LEVELS = (TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT16, TensorProto.INT16)


def _apply(draft: Draft) -> Change | None:
    inputs = graph_inputs(draft.proto)
    if draft.task is None or len(inputs) != 1 or inputs[0].type.tensor_type.elem_type not in _LEVELS:
        return None
    kind, dims = inputs[0].type.tensor_type.elem_type, static_dims(inputs[0])
    if dims is None:
        return None
    proto, name = draft.copy(), inputs[0].name
    levels = fresh(proto, f"{name}_levels")
    rename_reads(proto, name, levels)
    set_input(proto, dims)
    for reader in proto.graph.node:  # the graph's own way to float32 needs no detour over integers
        if reader.op_type == "Cast" and reader.input[0] == levels and attribute(reader, "to") == TensorProto.FLOAT:
            rename_reads(proto, reader.output[0], name)
    proto.graph.node.insert(0, node(proto, "Cast", [name], levels, {"to": kind}))
    drop_unread(proto)
    title = onnx.TensorProto.DataType.Name(kind).lower()
    note = f"{draft.where}: takes {title} pixels and scales them itself"
    task = replace(draft.task, normalize="fixed", scale=1.0, mean=(0.0,), std=(1.0,))
    if task != draft.task:
        note += "; the task's normalisation is dropped, since it would be done twice"

    changed = replace(draft.with_proto(inferred(proto)), task=task)
    return Change(changed, note, feed=lambda image: image.astype(np.float32))


STEP = Step("integer pixels", _apply)
