"""Average pools whose last windows reach beyond the padding are written without ``ceil_mode``.

::

    x ─ AveragePool(ceil_mode, count_include_pad) ─ y
    x ─ Pad ─ AveragePool ─ · k² / (places of the window within the padding) ─ y

PyTorch and ONNX Runtime divide the last window by what of it lies within the padding; OpenVINO divides by the whole.
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.loading.normalize.edit import fresh, inferred, node
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute, value_dims


def _apply(draft: Draft) -> Change | None:
    names = [one.name for one in draft.proto.graph.node if _rounds_up(one)]
    if draft.task is None or not names:
        return None
    proto = inferred(draft.copy())
    shapes = value_dims(proto)
    changed = False
    for one in [each for each in proto.graph.node if each.name in names]:
        dims = shapes.get(one.input[0])
        if dims is not None and len(dims) == 4 and dims[2] and dims[3]:
            _written_out(proto, one, (dims[2], dims[3]))
            changed = True
    return Change(draft.with_proto(inferred(proto))) if changed else None


def _rounds_up(one: onnx.NodeProto) -> bool:
    return (
        one.op_type == "AveragePool"
        and not one.domain
        and bool(attribute(one, "ceil_mode", 0))
        and bool(attribute(one, "count_include_pad", 0))
        and any(attribute(one, "pads", ()))
        and all(step == 1 for step in attribute(one, "dilations", ()))
    )


def _written_out(proto: onnx.ModelProto, one: onnx.NodeProto, size: tuple[int, int]) -> None:
    kernel, pads = attribute(one, "kernel_shape"), attribute(one, "pads")
    strides = attribute(one, "strides", [1, 1])
    ends, shares = [pads[2], pads[3]], list[Array]()
    for axis in (0, 1):
        padded = size[axis] + pads[axis] + pads[axis + 2]
        count = -(-(padded - kernel[axis]) // strides[axis]) + 1
        if (count - 1) * strides[axis] >= size[axis] + pads[axis]:  # no window starts in the padding behind
            count -= 1
        starts = np.arange(count) * strides[axis]
        ends[axis] += max(0, int(starts[-1]) + kernel[axis] - padded)
        shares.append(kernel[axis] / (np.minimum(starts + kernel[axis], padded) - starts))
    kept = [each for each in one.attribute if each.name not in ("ceil_mode", "count_include_pad", "pads", "auto_pad")]
    del one.attribute[:]
    one.attribute.extend(kept)
    made, source = one.output[0], one.input[0]
    names = [fresh(proto, f"{made}_{hint}") for hint in ("pads", "padded", "whole", "share")]
    amounts, padded_name, whole, share = names
    one.input[0], one.output[0] = padded_name, whole
    lengths = np.array([0, 0, pads[0], pads[1], 0, 0, *ends], np.int64)
    factor = np.outer(*shares).astype(np.float32)[None, None]
    proto.graph.initializer.extend(
        [onnx.numpy_helper.from_array(lengths, amounts), onnx.numpy_helper.from_array(factor, share)]
    )
    at = next(index for index, each in enumerate(proto.graph.node) if each.name == one.name)
    proto.graph.node.insert(at + 1, node(proto, "Mul", [whole, share], made))
    proto.graph.node.insert(at, node(proto, "Pad", [source, amounts], padded_name))


STEP = Step("average pools that round up", _apply)
