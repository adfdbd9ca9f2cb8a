"""Unpooling: MaxUnpool by the indices of a MaxPool becomes a choice among the places of each window.

::

    f ─ MaxPool(k) ─ p, indices            v ─ MaxUnpool(indices) ─ y
    f at place (i, j) of every window ─ f ≥ p, and no place before ─ Where(v, 0) ─ DepthToSpace(k) ─ y

SegNet and its kind write so. OpenVINO and TensorRT have no MaxUnpool; slices, comparisons and DepthToSpace they have.
Of equal values the first place in reading order is taken, as ONNX Runtime and PyTorch do.
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.errors import InputError
from edge.loading.normalize.edit import drop_unread, inferred, makers
from edge.loading.normalize.replacement import Replacement
from edge.loading.normalize.step import Change, Draft, Step, attribute, value_dims

Shapes = dict[str, tuple[int, ...]]


def _apply(draft: Draft) -> Change | None:
    found = [one for one in draft.proto.graph.node if one.op_type == "MaxUnpool" and not one.domain]
    if draft.task is None or not found:
        return None
    proto = draft.copy()
    for unpool in found:
        proto = _written_out(draft, inferred(proto), unpool)
    drop_unread(proto)
    for pool in proto.graph.node:  # nobody reads the indices any more
        if pool.op_type == "MaxPool" and len(pool.output) > 1 and not _read(proto, pool.output[1]):
            del pool.output[1:]
    return Change(draft.with_proto(inferred(proto)))


def _written_out(draft: Draft, proto: onnx.ModelProto, unpool: onnx.NodeProto) -> onnx.ModelProto:
    shapes = _shapes(proto)
    pool = makers(proto).get(unpool.input[1])
    if pool is None or pool.op_type != "MaxPool" or not _tiles(pool, unpool, shapes):
        raise InputError(
            f"{draft.where}: node {unpool.name!r} is MaxUnpool by indices that are not of a MaxPool whose windows "
            "tile its input, which no compiler here takes; pool by windows as long as their stride, without padding, "
            "or upsample instead"
        )
    side = int(attribute(pool, "kernel_shape")[0])
    before, largest, values = pool.input[0], pool.output[0], unpool.input[0]
    height, width = shapes[before][2:]
    new = Replacement(proto, unpool)
    constant, op = new.constant, new.op
    zero, ends, axes, steps = constant(np.float32(0)), constant([height, width]), constant([2, 3]), constant([side] * 2)
    places, taken = list[str](), ""
    for row, column in np.ndindex(side, side):
        here = op("GreaterOrEqual", [op("Slice", [before, constant([row, column]), ends, axes, steps]), largest])
        first = op("And", [here, op("Not", [taken])]) if taken else here
        taken = op("Or", [taken, here]) if taken else here
        places.append(op("Where", [first, values, zero]))
    stacked = op("Concat", places, axis=1)
    op("DepthToSpace", [stacked], blocksize=side, mode="DCR")
    new.put_in_place()
    return proto


def _tiles(pool: onnx.NodeProto, unpool: onnx.NodeProto, shapes: Shapes) -> bool:
    """Whether the windows lie side by side and cover the input, and the values go back to where they came from."""
    kernel, before, after = attribute(pool, "kernel_shape"), shapes.get(pool.input[0]), shapes.get(unpool.output[0])
    return (
        before is not None
        and len(before) == 4
        and len(set(kernel)) == 1
        and list(attribute(pool, "strides", [1, 1])) == list(kernel)
        and not any(attribute(pool, "pads", ()))
        and all(step == 1 for step in attribute(pool, "dilations", ()))
        and all(length % kernel[0] == 0 for length in before[2:])
        and attribute(pool, "storage_order", 0) == 0
        and shapes.get(unpool.input[0]) == shapes.get(pool.output[0])
        and (before == after if after is not None else list(attribute(unpool, "strides", [1, 1])) == list(kernel))
    )


def _shapes(proto: onnx.ModelProto) -> Shapes:
    known = value_dims(proto).items()
    return {name: dims for name, dims in known if dims is not None and None not in dims}  # type: ignore[misc]


def _read(proto: onnx.ModelProto, name: str) -> bool:
    return any(name in one.input for one in proto.graph.node) or name in {output.name for output in proto.graph.output}


STEP = Step("unpooling", _apply)
