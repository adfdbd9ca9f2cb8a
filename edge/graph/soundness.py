"""What an ONNX file may ask for, checked before any library works on it: nodes, text, element types, dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from edge.errors import InputError
from edge.graph.bodies import bodies
from edge.safety.guard import parsing
from edge.safety.limits import exceeded, limits

_REMEDY = "export the model again"
_KNOWN_TYPES = frozenset(onnx.TensorProto.DataType.values())


def require_sound(proto: onnx.ModelProto, path: str | Path) -> None:
    """Refuse what later steps would fail on, or never come to the end of.

    Args:
        proto: as parsed, before the checker and shape inference see it.
        path: for messages.

    Raises:
        InputError: too many nodes or too much text, functions that call themselves, unknown element types, no outputs.
    """
    with parsing(path, "a sound ONNX file", _REMEDY):
        text = sum(len(entry.key) + len(entry.value) for entry in proto.metadata_props)
        if text > limits().metadata_bytes:
            raise exceeded(path, f"its metadata has {text} bytes", "metadata_bytes")
        nodes = written_out(proto, path)
        if nodes > limits().nodes:
            raise exceeded(path, f"has {nodes} nodes once its functions are written out", "nodes")
        if proto.graph.node and not proto.graph.output:
            raise InputError(f"{path}: is not a sound ONNX file (its graph has no outputs); {_REMEDY}")
        for value in proto.graph.input:
            if value.type.tensor_type.elem_type == onnx.TensorProto.UNDEFINED:
                raise InputError(f"{path}: input {value.name!r} is no tensor of a known type; {_REMEDY}")
        for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
            _require_type(value.type.tensor_type.elem_type, value.name, path)


def require_tensors(tensors: Iterable[onnx.TensorProto], path: str | Path) -> None:
    """Refuse weights whose dimensions contradict their data, once external data was loaded.

    Raises:
        InputError: names the weight.
    """
    for tensor in tensors:
        _require_type(tensor.data_type, tensor.name, path)
        if any(side < 0 for side in tensor.dims):
            raise InputError(f"{path}: weight {tensor.name!r} has a negative dimension; {_REMEDY}")
        with parsing(f"{path}: weight {tensor.name!r}", "a tensor of its dimensions", _REMEDY):
            onnx.numpy_helper.to_array(tensor)


def written_out(proto: onnx.ModelProto, path: str | Path) -> int:
    """Nodes of the graph and its subgraphs, every call of a function counted as the nodes in it.

    Raises:
        InputError: functions that call each other in a circle, or deeper than the limit.
    """
    functions = {(function.domain, function.name): function for function in proto.functions}
    known: dict[tuple[str, str], int] = {}

    def of_function(key: tuple[str, str], calls: tuple[tuple[str, str], ...]) -> int:
        if key in calls or len(calls) > limits().depth:
            raise InputError(f"{path}: function {key[1]!r} calls itself or lies too deep in others; {_REMEDY}")
        if key not in known:
            known[key] = of_nodes(functions[key].node, (*calls, key))
        return known[key]

    def of_nodes(nodes: Iterable[onnx.NodeProto], calls: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            total += of_function(key, calls) if key in functions else 1
            for body in bodies(node):
                total += of_nodes(body.node, calls)
        return total

    return of_nodes(proto.graph.node, ())


def require_facts(facts: Mapping[str, object], path: str | Path) -> None:
    """Refuse facts in a file's metadata that a report could not hold.

    Raises:
        InputError: names the fact.
    """
    for name, kind in (("name", str), ("weights", str), ("parameters", int)):
        value = facts.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InputError(f"{path}: its metadata says {name} = {value!r:.40}, of the wrong kind; {_REMEDY}")


def _require_type(number: int, name: str, path: str | Path) -> None:
    if number not in _KNOWN_TYPES:
        raise InputError(f"{path}: {name!r} has element type {number}, which ONNX does not know; {_REMEDY}")
