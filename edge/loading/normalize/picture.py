"""Picture: a graph that returns its mask or its probabilities as levels of 0 to 255 is cut back to what it scaled.

::

    mask ─ Mul(255) ─ Cast(uint8)        a threshold or an ArgMax, and the scale
    mask ─ Where(255, 0)
    Sigmoid ─ Mul(255) ─ Cast(uint8)     probabilities: the cast would leave 256 levels of them
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from edge.loading.normalize.edit import array_of, fresh, inferred, makers, node, rename_reads, set_output
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute

_SHAPES = frozenset(("Squeeze", "Unsqueeze", "Identity", "Reshape", "Transpose", "Flatten"))
_ROUNDING = frozenset(("Cast", "Round", "Floor", "Clip"))
_DECISIONS = frozenset(("ArgMax", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Equal"))
_PROBABILITIES = frozenset(("Sigmoid", "Softmax"))
_LEVEL = 1.0 / 255.0


def _apply(draft: Draft) -> Change | None:
    if draft.task is None:
        return None
    last = list(_behind(draft.proto, draft.output_name))
    if not last:
        return None
    end = last[-1]
    if end.op_type == "Where":
        return _from_where(draft, end)
    scale = _scale(draft.proto, end)
    if scale is None:
        return None
    level, source = scale
    roots = list(_behind(draft.proto, source))
    root = roots[-1].op_type if roots else ""
    if root in _DECISIONS:
        return _without_scale(draft, end, source, level)
    whole = all(one.op_type == "Identity" for one in roots[:-1])
    flat = all(one.op_type in _ROUNDING or one.op_type == "Identity" for one in last[:-1])
    return _probabilities(draft, source, level) if root in _PROBABILITIES and whole and flat else None


def _behind(proto: onnx.ModelProto, name: str) -> Iterator[onnx.NodeProto]:
    """The nodes that lead to a value, up to the first that does more than cast, round or change shape."""
    made = makers(proto)
    found = made.get(name)
    while found is not None:
        yield found
        if found.op_type not in _SHAPES and found.op_type not in _ROUNDING:
            return
        found = made.get(found.input[0])


def _scale(proto: onnx.ModelProto, multiply: onnx.NodeProto) -> tuple[float, str] | None:
    """The constant above 1 that a Mul multiplies by, and the value it multiplies."""
    if multiply.op_type != "Mul":
        return None
    for constant, source in (multiply.input, reversed(multiply.input)):
        array = array_of(proto, constant)
        if array is not None and array.size == 1 and float(array.reshape(())) > 1:
            return float(array.reshape(())), source
    return None


def _without_scale(draft: Draft, multiply: onnx.NodeProto, source: str, level: float) -> Change:
    proto = draft.copy()
    if multiply.output[0] == draft.output_name:
        next(one for one in proto.graph.node if draft.output_name in one.output).CopyFrom(
            helper.make_node("Identity", [source], [draft.output_name], multiply.name)
        )
    else:
        rename_reads(proto, multiply.output[0], source)
    note = f"{draft.where}: returns its mask as levels of 0 and {level:g}; the scale was cut off"
    return Change(draft.with_proto(inferred(proto)), note, old=lambda labels: labels.astype(np.float64) / level)


def _from_where(draft: Draft, where: onnx.NodeProto) -> Change | None:
    """A mask that Where paints: the condition itself, where the painted level is the higher one."""
    painted, ground = (array_of(draft.proto, name) for name in where.input[1:3])
    if painted is None or ground is None or painted.size != 1 or ground.size != 1:
        return None
    high, low = float(painted.reshape(())), float(ground.reshape(()))
    if not high > low:
        return None
    proto = draft.copy()
    kind = helper.np_dtype_to_tensor_dtype(painted.dtype)
    made = next(one for one in proto.graph.node if where.output[0] in one.output)
    made.CopyFrom(node(proto, "Cast", [where.input[0]], where.output[0], {"to": kind}))
    note = f"{draft.where}: returns its mask as levels of {low:g} and {high:g}; the levels were cut off"
    return Change(draft.with_proto(inferred(proto)), note, old=lambda levels: (levels == high).astype(np.float64))


def _probabilities(draft: Draft, source: str, level: float) -> Change:
    proto, name = draft.copy(), draft.output_name
    kept = fresh(proto, f"{name}_probabilities")
    proto.graph.node.append(node(proto, "Identity", [source], kept))
    set_output(proto, name, kept, output_shapes(draft).get(name, ()))
    cast = draft.proto.graph.output[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT
    note = f"{draft.where}: returns probabilities as levels of 0 to {level:g}; cut back to the probabilities"
    task = draft.task
    assert task is not None

    def scaled(levels: Array) -> Array:  # and from 1 up, so that the tolerance is one level for small ones too
        return levels.astype(np.float64) / level + 1

    def exact(probabilities: Array) -> Array:
        return probabilities.astype(np.float64) + 1

    return Change(
        replace(draft.with_proto(inferred(proto)), task=replace(task, output="probabilities")),
        note,
        _LEVEL if cast or _rounds(draft) else 1e-5,
        old=scaled,
        new=exact,
    )


def _rounds(draft: Draft) -> bool:
    """Whether levels are rounded on their way out."""
    ways = (one for one in _behind(draft.proto, draft.output_name) if one.op_type in _ROUNDING)
    return any(one.op_type != "Cast" or attribute(one, "to") != onnx.TensorProto.FLOAT for one in ways)


STEP = Step("levels of a picture", _apply)
