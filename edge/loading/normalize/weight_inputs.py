"""Weights as inputs: an initializer that is also listed as an input is a weight, and its entry as an input goes."""

from __future__ import annotations

from edge.graph.model import graph_inputs
from edge.loading.normalize.step import Change, Draft, Step


def _apply(draft: Draft) -> Change | None:
    kept = graph_inputs(draft.proto)
    if len(kept) == len(draft.proto.graph.input):
        return None
    proto = draft.copy()
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    return Change(draft.with_proto(proto))


STEP = Step("weights listed as inputs", _apply)
