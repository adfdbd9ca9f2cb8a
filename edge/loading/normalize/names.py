"""Names: every node gets one of its own, because plans and layer tables are written in them."""

from __future__ import annotations

from edge.graph.names import with_names
from edge.loading.normalize.step import Change, Draft, Step


def _apply(draft: Draft) -> Change | None:
    named = with_names(draft.proto)
    return None if named is draft.proto else Change(draft.with_proto(named))


STEP = Step("unique names", _apply)
