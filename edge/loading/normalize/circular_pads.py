"""Circular padding: Pad with mode ``wrap`` becomes slices of the far side beside the map. OpenVINO has no such mode.

::

    x ─ Pad(wrap, 1) ─ y
    x[last] , x , x[first] ─ Concat ─ y        along rows, then along columns
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.loading.normalize.edit import array_of, inferred
from edge.loading.normalize.replacement import Replacement
from edge.loading.normalize.step import Change, Draft, Step, attribute, value_dims


def _apply(draft: Draft) -> Change | None:
    names = [one.name for one in draft.proto.graph.node if _wraps(one)]
    if draft.task is None or not names:
        return None
    proto = inferred(draft.copy())
    shapes = value_dims(proto)
    changed = False
    for one in [each for each in proto.graph.node if each.name in names]:
        dims, amounts = shapes.get(one.input[0]), _amounts(proto, one, shapes)
        if dims is None or not amounts or not all(0 <= a <= (dims[axis] or 0) for axis, *ab in amounts for a in ab):
            continue
        _written_out(proto, one, amounts)
        changed = True
    return Change(draft.with_proto(inferred(proto))) if changed else None


def _wraps(one: onnx.NodeProto) -> bool:
    return one.op_type == "Pad" and not one.domain and attribute(one, "mode", b"constant") == b"wrap"


def _amounts(
    proto: onnx.ModelProto, one: onnx.NodeProto, shapes: dict[str, tuple[int | None, ...] | None]
) -> list[tuple[int, int, int]] | None:
    """Each axis that is padded, and what is added in front of it and behind it; None where that is computed."""
    dims, pads = shapes.get(one.input[0]), array_of(proto, one.input[1])
    axes = array_of(proto, one.input[3]) if len(one.input) > 3 and one.input[3] else np.arange(len(dims or ()))
    if dims is None or pads is None or axes is None:
        return None
    half = len(axes)
    found = [(int(axis) % len(dims), int(pads[at]), int(pads[half + at])) for at, axis in enumerate(axes)]
    return [each for each in found if any(each[1:])]


def _written_out(proto: onnx.ModelProto, one: onnx.NodeProto, amounts: list[tuple[int, int, int]]) -> None:
    value, new = one.input[0], Replacement(proto, one)
    for axis, before, behind in amounts:
        parts = [value]
        if before:
            parts.insert(0, _slice(new, value, -before, np.iinfo(np.int64).max, axis))
        if behind:
            parts.append(_slice(new, value, 0, behind, axis))
        value = new.op("Concat", parts, axis=axis)
    new.put_in_place()


def _slice(new: Replacement, value: str, start: int, end: int, axis: int) -> str:
    return new.op("Slice", [value, *(new.constant([number]) for number in (start, end, axis))])


STEP = Step("circular padding", _apply)
