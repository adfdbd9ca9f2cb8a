"""IR version: the file format's number, brought to one that every runtime here reads.

The number says how the file is written, not what is computed: a newer ``onnx`` package writes a larger one over the
very same graph, and files before version 4 must list their weights among the inputs.
"""

from __future__ import annotations

import onnx

from edge.errors import InputError
from edge.loading.normalize.step import Change, Draft, Step

WORKING = 10
OLDEST = 4


def _apply(draft: Draft) -> Change | None:
    version = draft.proto.ir_version
    if version > onnx.IR_VERSION:
        raise InputError(
            f"{draft.where}: written by a newer onnx (IR version {version}, this one reads up to {onnx.IR_VERSION}); "
            f"upgrade onnx (pip install -U onnx), or save the model with ir_version {WORKING}"
        )
    if OLDEST <= version <= WORKING:
        return None
    proto = draft.copy()
    proto.ir_version = WORKING
    return Change(draft.with_proto(proto))


STEP = Step("IR version", _apply)
