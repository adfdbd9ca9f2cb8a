"""Node names: exporters may leave them out or use one twice, and a precision plan is written in them."""

from __future__ import annotations

import onnx


def with_names(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with a name of its own for every node; the very same where it has that already.

    A node without a name is called after its first output.
    """
    names = [node.name for node in proto.graph.node]
    if all(names) and len(set(names)) == len(names):
        return proto
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    taken: set[str] = set()
    for node in named.graph.node:
        node.name = unique_name(node.name or node.output[0], taken)
    return named


def unique_name(name: str, taken: set[str] | set[str | None], mark: str = "#") -> str:
    """The name, numbered after a mark where it is taken already; taken from now on."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}{mark}{count}"
    taken.add(candidate)
    return candidate
