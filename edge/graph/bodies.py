"""The bodies of a node: the graphs that its attributes hold, such as the branches of an If."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Every graph that the node's attributes hold, alone or in a list; not the graphs inside those."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
