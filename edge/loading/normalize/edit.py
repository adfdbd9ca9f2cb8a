"""Small edits of an ONNX graph at its two ends, where normalisation works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from edge.graph.native import with_shapes


def fresh(proto: onnx.ModelProto, hint: str) -> str:
    """A name that no node and no value has."""
    graph = proto.graph
    taken = {node.name for node in graph.node} | {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    name, count = hint, 1
    while name in taken:
        count += 1
        name = f"{hint}_{count}"
    return name


def makers(proto: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Value name to the node that makes it."""
    return {name: node for node in proto.graph.node for name in node.output if name}


def array_of(proto: onnx.ModelProto, name: str) -> Any:
    """The constant behind a name as an array; None where it is computed."""
    found = next((tensor for tensor in proto.graph.initializer if tensor.name == name), None)
    return None if found is None else onnx.numpy_helper.to_array(found)


def rename_reads(proto: onnx.ModelProto, old: str, new: str) -> None:
    """Let every node that reads ``old`` read ``new``."""
    for node in proto.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def node(
    proto: onnx.ModelProto, op: str, inputs: Sequence[str], output: str, attributes: Mapping[str, Any] | None = None
) -> onnx.NodeProto:
    """A new node, named after what it makes; not in the graph yet."""
    return helper.make_node(op, list(inputs), [output], fresh(proto, f"{output}/{op}"), **(attributes or {}))


def set_input(proto: onnx.ModelProto, shape: Sequence[int | None], kind: int = TensorProto.FLOAT) -> None:
    """Declare the graph's only input anew."""
    dims = [size if size is not None else f"d{axis}" for axis, size in enumerate(shape)]
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info(proto.graph.input[0].name, kind, dims))


def set_output(proto: onnx.ModelProto, name: str, made: str, shape: Sequence[int | None]) -> None:
    """Let the graph return ``made`` under the name of its output ``name``, and drop what only led to the old value.

    Args:
        proto: edited in place.
        name: an output of the graph; it stays, float32, with another value.
        made: the value to return.
        shape: of that value.
    """
    if made != name:
        aside = fresh(proto, f"{name}_before")
        for one in proto.graph.node:
            one.output[:] = [aside if value == name else value for value in one.output]
        rename_reads(proto, name, aside)
        by = next((one for one in proto.graph.node if made in one.output), None)
        if by is None or any(output.name == made for output in proto.graph.output):
            proto.graph.node.append(node(proto, "Identity", [made], name))
        else:
            by.output[:] = [name if value == made else value for value in by.output]
            rename_reads(proto, made, name)
    dims = [size if size is not None else f"o{axis}" for axis, size in enumerate(shape)]
    for output in proto.graph.output:
        if output.name == name:
            output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    drop_unread(proto)


def cancel_transposes(proto: onnx.ModelProto) -> None:
    """Drop each Transpose that undoes the one in front of it, and that one where nothing else reads it."""
    made = makers(proto)
    shapes = {output.name: output for output in proto.graph.output}
    for one in list(proto.graph.node):
        before = made.get(one.input[0]) if one.op_type == "Transpose" else None
        if before is None or before.op_type != "Transpose":
            continue
        first, second = (next((list(a.ints) for a in t.attribute if a.name == "perm"), []) for t in (before, one))
        if [first[axis] for axis in second if axis < len(first)] != list(range(len(second))):
            continue
        name = one.output[0]
        if name in shapes:
            dims = [d.dim_value or None for d in shapes[name].type.tensor_type.shape.dim]
            set_output(proto, name, before.input[0], dims)
        else:
            rename_reads(proto, name, before.input[0])
    drop_unread(proto)


def drop_unread(proto: onnx.ModelProto) -> None:
    """Drop nodes whose values nobody reads, and the weights that only they read. Nodes must be sorted."""
    from edge.loading.normalize.order import read_names

    needed = {output.name for output in proto.graph.output}
    kept: list[onnx.NodeProto] = []
    for one in reversed(proto.graph.node):
        if not needed.isdisjoint(one.output):
            kept.append(one)
            needed |= read_names(one)
    keep(proto.graph.node, list(reversed(kept)))
    keep(proto.graph.initializer, [weight for weight in proto.graph.initializer if weight.name in needed])
    keep(proto.graph.value_info, [value for value in proto.graph.value_info if value.name in needed])


def keep(field: Any, items: Sequence[Any]) -> None:
    """Leave only these items of a repeated field."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def inferred(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with shapes inferred, old inferences forgotten."""
    del proto.graph.value_info[:]
    return with_shapes(proto)
