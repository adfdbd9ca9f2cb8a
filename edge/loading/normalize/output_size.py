"""Output size: maps smaller than the network's input are enlarged inside the graph, before the decision.

SegFormer returns a quarter of its size, others a thirty-second; their own libraries raise logits bilinearly and decide
then. Deciding first and enlarging the mask costs thin structures. The Resize goes in front of a last activation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx

from edge.loading.normalize.activation import last_activation, sigmoid, softmax
from edge.loading.normalize.edit import fresh, inferred, node, set_output
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Array, Change, Draft, Step

Size = tuple[int, int]

_HALF_PIXEL = "half_pixel"
_ATTRIBUTES = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": _HALF_PIXEL},
    # Source index floor((i + 0.5) * in / out), as masks are resized.
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": _HALF_PIXEL, "nearest_mode": "round_prefer_ceil"},
}


def _apply(draft: Draft) -> Change | None:
    task = draft.task
    shape = output_shapes(draft).get(draft.output_name, ())
    if task is None or task.output == "labels" or len(shape) != 4 or shape[1] != task.maps:
        return None
    if shape[2] >= task.size[0] and shape[3] >= task.size[1]:
        return None
    kernel = task.upsample
    raised = _raised(draft, shape, task.size, kernel)
    note = (
        f"{draft.where}: returns {shape[2]} x {shape[3]} maps for a {task.size[0]} x {task.size[1]} input; they are "
        f"enlarged inside the engine ({kernel}) before the decision"
    )
    enlarged = Draft(raised, draft.where, replace(task, upsample="bilinear"))  # done, so the task need not say it
    return Change(enlarged, note, 1e-3, old=_expected(draft, task.size, kernel))


def _raised(draft: Draft, shape: tuple[int, ...], size: Size, kernel: str) -> onnx.ModelProto:
    """The graph with a Resize at its end, in front of a last activation."""
    proto, name = draft.copy(), draft.output_name
    activation = last_activation(draft)
    low = name if activation is None or activation.output[0] != name else activation.input[0]
    scales = np.array([1, 1, size[0] / shape[2], size[1] / shape[3]], np.float32)
    exact = all(int(s) * int(o) == int(w) for s, o, w in zip(scales[2:], shape[2:], size, strict=True))
    given = fresh(proto, f"{name}_{'scales' if exact else 'sizes'}")
    values = scales if exact else np.array([*shape[:2], *size], np.int64)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(values, given))
    high = fresh(proto, f"{name}_enlarged")
    inputs = [low, "", given] if exact else [low, "", "", given]
    resize = node(proto, "Resize", inputs, high, _ATTRIBUTES[kernel])
    if low == name:
        proto.graph.node.append(resize)
        set_output(proto, name, high, (*shape[:2], *size))
    else:
        at = next(index for index, one in enumerate(proto.graph.node) if name in one.output)
        proto.graph.node[at].input[0] = high
        proto.graph.node.insert(at, resize)
        proto.graph.output[0].type.tensor_type.ClearField("shape")
    return inferred(proto)


def _expected(draft: Draft, size: Size, kernel: str) -> Callable[[Array], Array]:
    """What the output must be after the Resize, from what it was before, computed here."""
    enlarge = enlarged_bilinearly if kernel == "bilinear" else _nearest
    activation = last_activation(draft)
    if activation is None or activation.output[0] != draft.output_name:
        return lambda maps: enlarge(maps, size)
    if activation.op_type == "Sigmoid":
        return lambda maps: sigmoid(enlarge(np.log(maps) - np.log1p(-maps.astype(np.float64)), size))
    return lambda maps: softmax(enlarge(np.log(maps), size))


def enlarged_bilinearly(maps: Array, size: Size) -> Array:
    """Half-pixel bilinear enlargement of ``[n, maps, h, w]``, edges repeated."""
    for axis, length in zip((2, 3), size, strict=True):
        old = maps.shape[axis]
        at = ((np.arange(length) + 0.5) * old / length - 0.5).clip(0, old - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, old - 1)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        maps = maps.take(low, axis) * (1 - share) + maps.take(high, axis) * share
    return maps


def _nearest(maps: Array, size: Size) -> Array:
    for axis, length in zip((2, 3), size, strict=True):
        maps = maps.take((2 * np.arange(length) + 1) * maps.shape[axis] // (2 * length), axis)
    return maps


STEP = Step("output size", _apply)
