"""Inputs that are none: an initializer listed as one is a weight, and what no node reads need not be given."""

from __future__ import annotations

from edge.graph.model import graph_inputs, graphs
from edge.loading.normalize.step import Change, Draft, Step


def _apply(draft: Draft) -> Change | None:
    listed = graph_inputs(draft.proto)
    read = {name for graph in graphs(draft.proto.graph) for node in graph.node for name in node.input}
    kept = [value for value in listed if value.name in read] or listed
    if len(kept) == len(draft.proto.graph.input):
        return None
    proto = draft.copy()
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    return Change(draft.with_proto(proto))


STEP = Step("weights listed as inputs", _apply)
