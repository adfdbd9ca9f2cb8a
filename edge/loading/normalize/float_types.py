"""Float types: float16, bfloat16 and float64 inside a graph become float32.

Half precision is something to build, with its own rows and proof, not a source: calibration, rewrites and the reference
all compute in float32.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto

from edge.graph.model import graphs, tensors
from edge.graph.native import with_shapes
from edge.loading.normalize.step import Change, Draft, Step

# Largest difference over the largest value that the source's own rounding explains.
_ROUNDING: dict[int, float] = {TensorProto.BFLOAT16: 0.1, TensorProto.FLOAT16: 0.02, TensorProto.DOUBLE: 1e-4}
_TITLES: dict[int, str] = {
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.FLOAT16: "half-precision",
    TensorProto.DOUBLE: "float64",
}
UNCHECKED = "SimplifiedLayerNormalization"
"""ONNX Runtime writes it into the standard domain, where no operator set has it."""
_TYPE_ATTRIBUTES = ("to", "dtype", "stash_type", "output_dtype", "precision")


def _apply_early(draft: Draft) -> Change | None:
    """The same at once where the checker, which comes next, would refuse what can only be written out in float32."""
    nodes = (node for graph in graphs(draft.proto.graph) for node in graph.node)
    unchecked = any(node.op_type == UNCHECKED and node.domain in ("", "ai.onnx") for node in nodes)
    return _apply(draft) if unchecked else None


def _apply(draft: Draft) -> Change | None:
    found = other_floats(draft.proto)
    if not found:
        return None
    proto = draft.copy()
    for tensor in tensors(proto):
        if tensor.data_type in _ROUNDING:
            _widen(tensor)
    for graph in graphs(proto.graph):
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type in _ROUNDING:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        del graph.value_info[:]
        _retype(graph.node)
    for function in proto.functions:
        _retype(function.node)
    titles = " and ".join(_TITLES[kind] for kind in _ROUNDING if kind in found)
    note = f"{draft.where}: a {titles} graph, computed in float32 from here on (fp16 is a precision to build)"
    taken = draft.proto.graph.input[0].type.tensor_type.elem_type if draft.proto.graph.input else 0
    return Change(
        draft.with_proto(with_shapes(proto, data_prop=False)),
        note,
        max(_ROUNDING[kind] for kind in found),
        feed=lambda image: image.astype(np.float32) if taken in _ROUNDING else image,
    )


def other_floats(proto: onnx.ModelProto) -> set[int]:
    """Float types other than float32 that the graph stores, takes, returns or casts to."""
    found = {tensor.data_type for tensor in tensors(proto)}
    for graph in graphs(proto.graph):
        found |= {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
        found |= {a.i for node in graph.node for a in node.attribute if a.name in _TYPE_ATTRIBUTES}
    return found & _ROUNDING.keys()


def _widen(tensor: onnx.TensorProto) -> None:
    name = tensor.name
    with np.errstate(over="ignore"):  # a float64 "lowest" becomes minus infinity, as a cast in the graph would
        array = onnx.numpy_helper.to_array(tensor).astype(np.float32)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))


def _retype(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        for found in node.attribute:
            if found.name in _TYPE_ATTRIBUTES and found.i in _ROUNDING:
                found.i = TensorProto.FLOAT


STEP = Step("float types", _apply)
EARLY = Step("float types", _apply_early)
