"""Mutators: a seeded generator damages bytes, tables and ONNX graphs in the ways that files of others are damaged."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import onnx

_NUMBERS = (0, -1, 1, 255, 2**31 - 1, -(2**31), 2**62, 10**30, 1e308, -0.0)
_TEXTS = ("", "\0", "\ud800", "../../etc/passwd", "$\\frac$", "x" * 300, "\x1b[2J", "javascript:x", "NaN", "é")
_OTHERS = (None, True, [], {}, "", 0, -1, 1e308, 10**400, [[[]]], {"a": {}})
_TOKENS = (b"[" * 2000, b"{" * 2000, b"9" * 5000, b"\xff\xfe", b"\0", b'"', b"\n", b"= = =", b"1e999", b"-", b"'''")


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, overwrite or insert, one to four times."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        way = rng.randrange(7)
        if way == 0 and data:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        elif way == 1:
            data = data[:at]
        elif way == 2:
            data = data[:at] + data[end:]
        elif way == 3:
            data = data[:end] + data[at:]
        elif way == 4:
            data = data[:at] + rng.randbytes(min(end - at, 64)) + data[at + min(end - at, 64) :]
        elif way == 5:
            data = data[:at] + rng.choice(_TOKENS) + data[at:]
        else:
            data = data[:at] + rng.choice((b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7)) + data[at + 8 :]
    return data


def mutated_table(table: Any, rng: random.Random) -> Any:
    """A copy of parsed JSON with one to three of its values replaced, removed, renamed or doubled."""
    table = copy.deepcopy(table)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(table))
        if not places:
            return rng.choice(_OTHERS)
        holder, key = rng.choice(places)
        way = rng.randrange(5)
        if way == 0:
            holder[key] = rng.choice(_OTHERS)
        elif way == 1:
            holder[key] = rng.choice(_NUMBERS)
        elif way == 2:
            holder[key] = rng.choice(_TEXTS)
        elif way == 3:
            del holder[key]
        elif isinstance(holder, dict):
            holder[rng.choice(_TEXTS) or "x"] = holder.pop(key)
        else:
            holder.append(holder[key])
    return table


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """Half of the time its values, half of the time its bytes."""
    if rng.random() < 0.5:
        return mutated_bytes(data, rng)
    return json.dumps(mutated_table(json.loads(data), rng), indent=1).encode()


def mutated_onnx(data: bytes, rng: random.Random) -> bytes:
    """A graph with one to three fields changed: types, sizes, names, attributes, functions, loops, metadata."""
    proto = onnx.load_from_string(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_GRAPH_MUTATIONS)(proto, rng)
    return proto.SerializeToString()


def _places(value: Any) -> Any:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            for key in item if isinstance(item, dict) else range(len(item)):
                yield item, key
                pending.append(item[key])


def _type(proto: onnx.ModelProto, rng: random.Random) -> None:
    value = rng.choice([*proto.graph.input, *proto.graph.output] or [onnx.ValueInfoProto()])
    value.type.tensor_type.elem_type = rng.choice((0, 1, 7, 10, 16, 77, 2**31 - 1))


def _shape(proto: onnx.ModelProto, rng: random.Random) -> None:
    value = rng.choice([*proto.graph.input, *proto.graph.output] or [onnx.ValueInfoProto()])
    dim = value.type.tensor_type.shape.dim
    if rng.random() < 0.3:
        dim.add().dim_value = 1
    elif dim:
        rng.choice(dim).dim_value = rng.choice((0, -1, 1, 3, 2**40))


def _weight(proto: onnx.ModelProto, rng: random.Random) -> None:
    if proto.graph.initializer:
        tensor = rng.choice(proto.graph.initializer)
        way = rng.randrange(4)
        if way == 0 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, -1, 7, 2**40))
        elif way == 1:
            tensor.data_type = rng.choice((0, 2, 7, 10, 16, 77))
        elif way == 2:
            tensor.raw_data = tensor.raw_data[: rng.randrange(8)]
        else:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", rng.choice(("../x", "/etc/passwd", "weights.bin", "", "."))


def _attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    attributes = [a for node in proto.graph.node for a in node.attribute]
    if attributes:
        chosen = rng.choice(attributes)
        if chosen.ints:
            chosen.ints[rng.randrange(len(chosen.ints))] = rng.choice((0, -1, 2**31, 2**62, -(2**62)))
        else:
            chosen.type = rng.choice((0, 1, 2, 3, 4, 5))


def _node(proto: onnx.ModelProto, rng: random.Random) -> None:
    if not proto.graph.node:
        return
    node = rng.choice(proto.graph.node)
    way = rng.randrange(4)
    if way == 0:
        node.op_type = rng.choice(("Relu", "Loop", "If", "Nothing", "", "Add", "MatMul", "ConstantOfShape"))
    elif way == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(("", "output", "image", "nowhere"))
    elif way == 2:
        node.domain = rng.choice(("evil", "com.microsoft", "ai.onnx.ml"))
    else:
        proto.graph.node.remove(node)


def _metadata(proto: onnx.ModelProto, rng: random.Random) -> None:
    entry = proto.metadata_props.add()
    entry.key = rng.choice(("segedge.task", "segedge.facts"))
    entry.value = rng.choice(("[" * 3000, "9" * 5000, '{"parameters": "x"}', '{"name": 3}', "{}", '{"size": [1e9, 1]}'))


def _functions(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Nested functions, some of which would be written out to more nodes than there are atoms."""
    depth, calls = rng.choice(((2, 2), (9, 10), (70, 1)))
    proto.opset_import.append(onnx.helper.make_opsetid("f", 1))
    for level in range(depth):
        inner = ("Relu", "") if level == depth - 1 else (f"f{level + 1}", "f")
        nodes = [
            onnx.helper.make_node(inner[0], ["x" if i == 0 else f"y{i - 1}"], [f"y{i}"], domain=inner[1])
            for i in range(calls)
        ]
        opsets = [onnx.helper.make_opsetid("", 19), onnx.helper.make_opsetid("f", 1)]
        proto.functions.append(onnx.helper.make_function("f", f"f{level}", ["x"], [f"y{calls - 1}"], nodes, opsets))
    if not proto.graph.node:
        return
    last = proto.graph.node[-1]
    output = last.output[0]
    last.output[0] = "before"
    proto.graph.node.append(onnx.helper.make_node("f0", ["before"], [output], domain="f"))


def _lists(proto: onnx.ModelProto, rng: random.Random) -> None:
    way = rng.randrange(4)
    if way == 0:
        del proto.graph.output[:]
    elif way == 1:
        del proto.graph.input[:]
    elif way == 2 and proto.opset_import:
        proto.opset_import[0].version = rng.choice((0, 1, 7, 999, 2**40))
    else:
        proto.ir_version = rng.choice((0, 1, 3, 99, 2**40))


_GRAPH_MUTATIONS: tuple[Callable[[onnx.ModelProto, random.Random], None], ...] = (
    _type,
    _shape,
    _weight,
    _attribute,
    _node,
    _metadata,
    _functions,
    _lists,
)
