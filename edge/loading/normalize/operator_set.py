"""Operator set: any from 7 on is raised to one working set, so that no rewrite writes a form its graph does not know.

``onnx``'s converter does the work, but for a few operators: Upsample and Resize-10 count pixels asymmetrically, which
Resize-11 must be told and the converter does not; ONNX Runtime's optimizer writes LayerNormalization into sets that
lack it. They are taken out under names that no converter knows, and come back as Resize with their old arithmetic
written out, and as they were.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from edge.errors import InputError, first_line
from edge.graph.model import opset
from edge.graph.native import in_opset, with_shapes
from edge.loading.normalize.step import Change, Draft, Step, attribute

WORKING = 19
"""QuantizeLinear takes FP16 scales from here on, which TensorRT's strongly typed graphs need."""
OLDEST = 7
_COUNTS_ASYMMETRICALLY = 10  # the last set whose Upsample or Resize does
_ASIDE = "segedge.aside"
EARLY = ("LayerNormalization", "SimplifiedLayerNormalization")
"""Written into sets before the one that has them, or that none has; their arithmetic is the same in all."""


def _apply(draft: Draft) -> Change | None:
    version = opset(draft.proto)
    if version < OLDEST:
        raise InputError(
            f"{draft.where}: its operator set {version} is older than {OLDEST}, which no runtime here takes; "
            f"export the model again at {WORKING}"
        )
    return None if version >= WORKING else Change(draft.with_proto(raised(draft)))


def raised(draft: Draft) -> onnx.ModelProto:
    """The graph at the working set, with the shapes that inference finds.

    Raises:
        InputError: the converter does not raise it.
    """
    version, proto = opset(draft.proto), draft.copy()
    kinds = (*EARLY, *(() if version > _COUNTS_ASYMMETRICALLY else _RESIZES))
    aside = [node for node in proto.graph.node if node.op_type in kinds and node.domain in ("", "ai.onnx")]
    for node in aside:
        node.domain = _ASIDE
    if aside:
        proto.opset_import.append(helper.make_opsetid(_ASIDE, 1))
    try:
        converted = in_opset(proto, WORKING, draft.where)
    except Exception as error:  # the converter raises errors of its own kinds
        raise InputError(
            f"{draft.where}: its operator set {version} cannot be raised to {WORKING} ({first_line(error)}); "
            f"export the model again at {WORKING}"
        ) from None
    _bring_back(converted)
    return with_shapes(converted)


_RESIZES = ("Upsample", "Resize")


def _bring_back(proto: onnx.ModelProto) -> None:
    """Write resizes that were set aside as Resize that counts asymmetrically and takes the pixel below."""
    for node in [n for n in proto.graph.node if n.domain == _ASIDE]:
        if node.op_type in EARLY:
            node.domain = ""
            continue
        scales = node.input[1] if len(node.input) > 1 else f"{node.output[0]}_scales"
        if len(node.input) < 2:
            values = np.asarray(attribute(node, "scales"), np.float32)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(values, scales))
        mode = attribute(node, "mode", b"nearest").decode()
        nearest = {"nearest_mode": "floor"} if mode == "nearest" else {}
        node.CopyFrom(
            helper.make_node(
                "Resize",
                [node.input[0], "", scales],
                list(node.output),
                node.name,
                mode="linear" if mode == "bilinear" else mode,
                coordinate_transformation_mode="asymmetric",
                **nearest,
            )
        )
    kept = [entry for entry in proto.opset_import if entry.domain != _ASIDE]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)


STEP = Step("operator set", _apply)
