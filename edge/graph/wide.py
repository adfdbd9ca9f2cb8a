"""Nodes that compute in FP32 whatever precision a compiler's flags allow: marked in the graph, so that it goes along.

Strongly typed compilers read precision from the graph's types. TensorRT 8.x chooses it layer by layer under the flag
FP16; what would overflow there is named in the metadata of its nodes, which no parser reads, and constrained when the
plan is built (:func:`edge.backends.tensorrt.build.build_plan`).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import onnx

from edge.graph.model import Model

_KEY, _VALUE = "segedge.precision", "fp32"


def mark_wide(model: Model, names: Container[str]) -> Model:
    """The model with the nodes of these names marked."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for node in proto.graph.node:
        if node.name in names:
            node.metadata_props.add(key=_KEY, value=_VALUE)
    return replace(model, proto=proto)


def wide_nodes(model: Model) -> tuple[str, ...]:
    """Names of the marked nodes, in order."""
    return tuple(
        node.name for node in model.proto.graph.node if any(entry.key == _KEY for entry in node.metadata_props)
    )
