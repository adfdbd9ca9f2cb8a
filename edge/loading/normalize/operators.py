"""Operators: a node that no standard operator set knows is refused by its name, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from edge.errors import InputError
from edge.graph.model import graphs, opset
from edge.loading.normalize.operator_set import EARLY
from edge.loading.normalize.step import Change, Draft, Step

_STANDARD = ("", "ai.onnx")
_RUNTIMES = ("com.microsoft", "ai.onnx.ml")  # ONNX Runtime runs them, and writes the first where it optimizes
_LAYOUTS = ("com.microsoft.nchwc", "com.ms.internal.nhwc")  # what it writes for one processor alone


def _apply(draft: Draft) -> Change | None:
    imported = any(entry.domain in _STANDARD for entry in draft.proto.opset_import)
    version = opset(draft.proto) if imported else 0
    own = {(function.domain, function.name) for function in draft.proto.functions}
    for node in _nodes(draft.proto):
        if node.domain not in _STANDARD:
            if node.domain in _LAYOUTS:
                raise InputError(_laid_out(draft.where, node))
            if node.domain not in _RUNTIMES and (node.domain, node.op_type) not in own:
                raise InputError(_refusal(draft.where, node, f"{node.domain}::{node.op_type}"))
        elif version and node.op_type not in EARLY and not onnx.defs.has(node.op_type, version, ""):
            raise InputError(_missing(draft.where, node, version))
    return None


def _laid_out(where: str, node: onnx.NodeProto) -> str:
    return (
        f"{where}: node {node.name!r} is {node.domain}::{node.op_type}: ONNX Runtime saved the graph optimized for one "
        "processor; give the file from before that, or save it with ORT_ENABLE_EXTENDED at most"
    )


def _missing(where: str, node: onnx.NodeProto, version: int) -> str:
    """Why an operator set does not have an operator: it is younger, or there is none of that name."""
    later = range(version + 1, onnx.defs.onnx_opset_version() + 1)
    newer = next((number for number in later if onnx.defs.has(node.op_type, number, "")), None)
    if newer is None:
        return _refusal(where, node, node.op_type)
    return (
        f"{where}: node {node.name!r} is {node.op_type}, which operator set {version} does not have (it came with "
        f"{newer}); export the model again at {newer}"
    )


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in graphs(proto.graph):
        yield from graph.node


def _refusal(where: str, node: onnx.NodeProto, title: str) -> str:
    return (
        f"{where}: node {node.name!r} is {title}, an operator of one library's own that no compiler here knows; "
        "export the network with that layer written in standard operators (in PyTorch: plain tensor functions in its "
        "forward, or custom_translation_table of torch.onnx.export)"
    )


STEP = Step("known operators", _apply)
