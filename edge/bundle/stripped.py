"""Graphs without anything that names the workstation: exporters leave stack traces, file names and notes in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx

from edge.graph.bodies import bodies
from edge.graph.model import Model

FLOAT16 = onnx.TensorProto.FLOAT16


def stripped(model: Model) -> Model:
    """The same graph without documentation strings, node metadata and producer; its arithmetic is untouched.

    The task stays, since a bundle's graphs must be complete by themselves.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for field in ("doc_string", "producer_name", "producer_version", "domain", "metadata_props"):
        proto.ClearField(field)
    for function in proto.functions:
        _clear(function)
        _clear_nodes(function.node)
    _clear_graph(proto.graph)
    return replace(model, proto=proto, name="model", source="", facts=None)


def holds_half(model: Model) -> bool:
    """Whether the graph itself says where FP16 runs (tensors or casts of that type)."""
    graph = model.proto.graph
    if any(tensor.data_type == FLOAT16 for tensor in graph.initializer):
        return True
    casts = (a.i for node in graph.node if node.op_type == "Cast" for a in node.attribute if a.name == "to")
    return any(kind == FLOAT16 for kind in casts)


def save_stripped(model: Model, path: Path) -> Model:
    """Write :func:`stripped` and return it."""
    bare = stripped(model)
    bare.save(path)
    return bare


def _clear_graph(graph: onnx.GraphProto) -> None:
    _clear(graph)
    for values in (graph.initializer, graph.input, graph.output, graph.value_info):
        for value in values:
            _clear(value)
    _clear_nodes(graph.node)


def _clear_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        _clear(node)
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
        for body in bodies(node):
            _clear_graph(body)


def _clear(message: object) -> None:
    for field in ("doc_string", "metadata_props"):
        if hasattr(message, field):
            message.ClearField(field)  # type: ignore[attr-defined]
