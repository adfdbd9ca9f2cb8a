"""Shapes: an output that is declared without one gets what inference finds; checkers ask for it, runtimes do not."""

from __future__ import annotations

from edge.graph.native import with_shapes
from edge.loading.normalize.step import Change, Draft, Step


def _apply(draft: Draft) -> Change | None:
    if all(output.type.tensor_type.HasField("shape") for output in draft.proto.graph.output):
        return None
    inferred = with_shapes(draft.proto)
    for output in inferred.graph.output:
        if not output.type.tensor_type.HasField("shape"):
            return None
    return Change(draft.with_proto(inferred))


STEP = Step("shapes of outputs", _apply)
