"""Channels last: an image or a map in NHWC, as TensorFlow's exporters leave it, is transposed to NCHW.

A Transpose next to it that undoes the new one goes with it, so that convolutions see no layout change at all.
"""

from __future__ import annotations

from edge.graph.model import graph_inputs
from edge.loading.normalize.edit import cancel_transposes, fresh, inferred, node, rename_reads, set_input, set_output
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Change, Draft, Step, static_dims

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def _apply_to_input(draft: Draft) -> Change | None:
    inputs = graph_inputs(draft.proto)
    dims = static_dims(inputs[0]) if len(inputs) == 1 else None
    if draft.task is None or dims is None or len(dims) != 4:
        return None
    channels = draft.task.in_channels
    if dims[3] != channels or dims[1] == channels:
        return None
    proto = draft.copy()
    name, kind = inputs[0].name, inputs[0].type.tensor_type.elem_type
    set_input(proto, [dims[axis] for axis in _TO_FIRST], kind)
    last = fresh(proto, f"{name}_channels_last")
    rename_reads(proto, name, last)
    proto.graph.node.insert(0, node(proto, "Transpose", [name], last, {"perm": _TO_LAST}))
    cancel_transposes(proto)
    note = f"{draft.where}: takes its image with channels last (NHWC); the input was transposed to channels first"
    return Change(draft.with_proto(inferred(proto)), note, feed=lambda image: image.transpose(_TO_FIRST))


def _apply_to_output(draft: Draft) -> Change | None:
    if draft.task is None:
        return None
    name, maps = draft.output_name, draft.task.maps
    shape = output_shapes(draft).get(name, ())
    if len(shape) != 4 or shape[3] != maps or shape[1] == maps:
        return None
    proto = draft.copy()
    made = fresh(proto, f"{name}_channels_first")
    proto.graph.node.append(node(proto, "Transpose", [name], made, {"perm": _TO_FIRST}))
    set_output(proto, name, made, [shape[axis] for axis in _TO_FIRST])
    cancel_transposes(proto)
    note = f"{draft.where}: returns its maps with channels last (NHWC); the output was transposed to channels first"
    return Change(draft.with_proto(inferred(proto)), note, old=lambda maps: maps.transpose(_TO_FIRST))


INPUT = Step("image with channels last", _apply_to_input)
OUTPUT = Step("maps with channels last", _apply_to_output)
