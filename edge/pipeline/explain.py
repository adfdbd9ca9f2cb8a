"""Why each compiled layer runs as it does: the plan's reason, or what the compiler made of a quantized node."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from edge.backends.engine import Candidate, Layer

NOTHING_QUANTIZED = "holds no operation that is quantized for this compiler"
LEFT_BY_COMPILER = "quantized in the graph, but the compiler runs it in {}"


def explained(layers: Iterable[Layer], candidate: Candidate) -> tuple[Layer, ...]:
    """The layers of an engine, each that a quantized engine runs in float with a reason.

    Args:
        layers: the compiler's account; its names hold the source nodes'.
        candidate: what was compiled.
    """
    if candidate.precision not in ("int8", "mixed"):
        return tuple(layers)
    planned = [(_whole(node), reason) for node, reason in candidate.reasons.items()]
    quantized = [_whole(node) for node in _quantized(candidate)]

    def reason(layer: Layer) -> str:
        if layer.precision == "int8":
            return ""
        found = next((text for pattern, text in planned if pattern.search(layer.name)), "")
        if found:
            return found
        if any(pattern.search(layer.name) for pattern in quantized):
            return LEFT_BY_COMPILER.format(layer.precision)
        return NOTHING_QUANTIZED

    return tuple(replace(layer, reason=reason(layer)) for layer in layers)


def planned(candidate: Candidate) -> tuple[Layer, ...]:
    """What a plan left float and why, where nobody asked the compiler for its account: names are the source nodes'."""
    kinds = {node.name: node.op_type for node in candidate.model.proto.graph.node}
    return tuple(
        Layer(name, kinds.get(name, ""), candidate.rest, reason=reason) for name, reason in candidate.reasons.items()
    )


def _quantized(candidate: Candidate) -> list[str]:
    """Nodes that read an INT8 grid on both sides: a weight and an activation, or two activations."""
    nodes = candidate.model.proto.graph.node
    dequantized = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    return [node.name for node in nodes if node.name and sum(name in dequantized for name in node.input) >= 2]


def _whole(node: str) -> re.Pattern[str]:
    """A node's name in a layer's, and not the beginning or the end of another's."""
    return re.compile(rf"(?<![\w./]){re.escape(node)}(?![\w.])")
