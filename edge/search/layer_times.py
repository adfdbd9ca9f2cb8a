"""Layer times by source node: a compiler's layer table, attributed to the source graph's convolutions and products.

A layer that computes one of them is its own. Everything else (activations, resizes, layout changes, and the rounding
that INT8 adds) is charged to the node that reads the result next: that is where a change of precision puts its cost.
The table need only name source nodes, so this serves every compiler.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from edge.backends.engine import Layer
from edge.graph.model import Model

_JOINED = re.compile(r", | \+ ")  # OpenVINO's and TensorRT's ways to name the nodes of one layer
REST = ""
"""Key of what no node reads on the way to the output, and of layers whose source is unknown."""


def node_times(layers: Sequence[Layer], model: Model, nodes: Collection[str]) -> dict[str, float]:
    """Milliseconds of each node with all that is done for it.

    Args:
        layers: from a runner of ``model`` compiled.
        model: the graph that was compiled, with or without Q/DQ.
        nodes: names to attribute to.

    Returns:
        Node name to milliseconds; :data:`REST` has the remainder, so the values add up to the table's total.
    """
    readers = _next_nodes(model, frozenset(nodes))
    times = {**dict.fromkeys(nodes, 0.0), REST: 0.0}
    for layer in layers:
        owners = _owners(layer.name, readers, frozenset(nodes)) or (REST,)
        for owner in owners:
            times[owner] += (layer.ms or 0.0) / len(owners)
    return times


def _next_nodes(model: Model, nodes: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Every node of the graph to itself if it is one of ``nodes``, else to those that its result reaches first."""
    users: dict[str, list[str]] = {}
    graph = model.proto.graph
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.name)
    found: dict[str, tuple[str, ...]] = {}
    for node in reversed(graph.node):
        if node.name in nodes:
            found[node.name] = (node.name,)
        else:
            reached = (owner for out in node.output for user in users.get(out, ()) for owner in found[user])
            found[node.name] = tuple(dict.fromkeys(reached))
    return found


def _owners(layer: str, readers: Mapping[str, tuple[str, ...]], nodes: frozenset[str]) -> tuple[str, ...]:
    sources = [source for part in _JOINED.split(layer) if (source := _source(part, readers)) is not None]
    own = tuple(dict.fromkeys(source for source in sources if source in nodes))
    if own:
        return own
    if sources:
        return readers[sources[-1]]
    # A layout change carries both its neighbours' names; the second is the one it is made for.
    tail = re.sub(r"/WithoutBiases$", "", layer)
    named = [source for source in readers if source and tail.endswith(source)]
    return readers[max(named, key=len)] if named else ()


def _source(part: str, known: Mapping[str, object]) -> str | None:
    """The source node in a compiler's name for it: ``conv/WithoutBiases``, ``cat_quantized_1``."""
    for candidate in (part, part.rpartition("/")[0], re.sub(r"_\d+$", "", part)):
        if candidate and candidate in known:
            return candidate
    return None
