"""Gather by a table of indices, as by a list and a Reshape: the form that OpenVINO also takes beside INT8.

::

    x ─ Gather(indices [2, 3]) ─ y
    x ─ Gather(indices [6]) ─ Reshape ─ y
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.graph.native import with_shapes
from edge.loading.normalize.edit import array_of, fresh, node
from edge.loading.normalize.step import Change, Draft, Step, attribute, static_dims


def _apply(draft: Draft) -> Change | None:
    tables = {n.name for n in draft.proto.graph.node if n.op_type == "Gather" and _is_table(draft.proto, n)}
    if not tables or draft.task is None:
        return None
    proto = draft.copy()
    shapes = _known_shapes(proto)
    changed = False
    for gather in [n for n in proto.graph.node if n.name in tables]:
        source, made = shapes.get(gather.input[0]), gather.output[0]
        indices = array_of(proto, gather.input[1])
        if source is None:
            continue
        axis = attribute(gather, "axis", 0) % len(source)
        shape = (*source[:axis], *indices.shape, *source[axis + 1 :])
        flat, target, listed = (fresh(proto, f"{made}_{part}") for part in ("list", "shape", "gathered"))
        proto.graph.initializer.append(onnx.numpy_helper.from_array(indices.reshape(-1), flat))
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape, np.int64), target))
        at = list(proto.graph.node).index(gather)
        gather.input[1], gather.output[0] = flat, listed
        proto.graph.node.insert(at + 1, node(proto, "Reshape", [listed, target], made))
        changed = True
    return Change(draft.with_proto(with_shapes(proto))) if changed else None


def _known_shapes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes that are known in every dimension."""
    graph = with_shapes(proto).graph
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = static_dims(value)
        if dims is not None and None not in dims:
            found[value.name] = tuple(size for size in dims if size is not None)
    return found


def _is_table(proto: onnx.ModelProto, gather: onnx.NodeProto) -> bool:
    indices = array_of(proto, gather.input[1])
    return indices is not None and indices.ndim >= 2


STEP = Step("gather by a table", _apply)
