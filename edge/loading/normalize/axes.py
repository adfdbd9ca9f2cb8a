"""Axes: images and maps without an axis for batch or classes get it, and pixels in a row get rows and columns back."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from edge.graph.model import graph_inputs
from edge.loading.normalize.edit import fresh, inferred, node, rename_reads, set_input, set_output
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Array, Change, Draft, Step, static_dims
from edge.task.task import SegmentationTask

Shape = tuple[int, ...]


def _apply_to_input(draft: Draft) -> Change | None:
    """An image without a batch, ``[channels, height, width]`` or ``[height, width, channels]``."""
    inputs = graph_inputs(draft.proto)
    dims = static_dims(inputs[0]) if len(inputs) == 1 else None
    if draft.task is None or dims is None or len(dims) != 3 or draft.task.in_channels not in (dims[0], dims[2]):
        return None
    proto, name = draft.copy(), inputs[0].name
    alone, axes = fresh(proto, f"{name}_alone"), fresh(proto, f"{name}_axes")
    rename_reads(proto, name, alone)
    set_input(proto, (1, *dims), inputs[0].type.tensor_type.elem_type)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array((1, *dims)[1:], np.int64), axes))
    proto.graph.node.insert(0, node(proto, "Reshape", [name, axes], alone))
    note = f"{draft.where}: takes its image without a batch axis; one was added"
    return Change(draft.with_proto(inferred(proto)), note, feed=lambda image: image[None])


def _apply_to_output(draft: Draft) -> Change | None:
    if draft.task is None:
        return None
    name = draft.output_name
    shape = output_shapes(draft).get(name, ())
    wanted = _with_axes(shape, draft.task)
    if wanted is None or wanted == shape:
        return None
    proto = draft.copy()
    made, axes = fresh(proto, f"{name}_map"), fresh(proto, f"{name}_axes")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(wanted, np.int64), axes))
    proto.graph.node.append(node(proto, "Reshape", [name, axes], made))
    set_output(proto, name, made, wanted)
    had, has = ("x".join(map(str, axes)) for axes in (shape, wanted))
    note = f"{draft.where}: returns its maps as {had}; they are read as {has}"

    def reshaped(maps: Array) -> Array:
        return maps.reshape(wanted)

    return Change(draft.with_proto(inferred(proto)), note, old=reshaped)


def _with_axes(shape: Shape, task: SegmentationTask) -> Shape | None:
    """Four axes for maps that have other ones, classes first or last; None where the shape does not say."""
    if len(shape) == 4 and shape[0] == 1 and task.maps in (shape[1], shape[3]):
        return shape
    sizes, size = [length for length in shape if length != 1], task.size
    inner = sizes if task.maps == 1 else [length for length in sizes if length != task.maps]
    if task.maps > 1 and len(inner) != len(sizes) - 1:
        return None
    if inner != list(size) and inner != [prod(size)]:
        return None
    first = task.maps == 1 or sizes[0] == task.maps
    if not first and sizes[-1] != task.maps:
        return None
    return (1, task.maps, *size) if first else (1, *size, task.maps)


INPUT = Step("image without a batch axis", _apply_to_input)
OUTPUT = Step("axes of the maps", _apply_to_output)
