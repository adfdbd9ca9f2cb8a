"""Batch normalisation in training mode: by the images at hand, which for one image is instance normalisation.

Exporters leave it where the network was not in evaluation mode, and where it keeps no running figures at all
(``track_running_stats=False``). The first is a mistake and the second is none; a graph does not say which it is, so the
user is told. Compilers take instance normalisation; of this one TensorRT does not, and others forget the mode.
"""

from __future__ import annotations

import onnx

from edge.errors import InputError
from edge.graph.model import opset
from edge.loading.normalize.edit import inferred
from edge.loading.normalize.order import read_names
from edge.loading.normalize.step import Change, Draft, Step, attribute, value_dims

_BY_ATTRIBUTE = 14
"""The first operator set that has the mode as an attribute; before, five outputs meant it."""


def _refuse(draft: Draft) -> Change | None:
    """In older sets runtimes disagree about what five outputs mean: ONNX Runtime takes the running figures."""
    if opset(draft.proto) < _BY_ATTRIBUTE:
        for node in draft.proto.graph.node:
            if node.op_type == "BatchNormalization" and sum(bool(name) for name in node.output) > 1:
                raise InputError(
                    f"{draft.where}: node {node.name!r} (BatchNormalization) was exported in training mode; export the "
                    "network in evaluation mode (network.eval(), and training=TrainingMode.EVAL)"
                )
    return None


def _apply(draft: Draft) -> Change | None:
    if draft.task is None or not any(_trains(node) for node in draft.proto.graph.node):
        return None
    proto = inferred(draft.copy())
    read = {name for node in proto.graph.node for name in read_names(node)} | {o.name for o in proto.graph.output}
    ranks = value_dims(proto)
    written = []
    for node in proto.graph.node:
        dims = ranks.get(node.input[0]) if _trains(node) else None
        if dims is None or len(dims) < 3 or dims[0] != 1 or not read.isdisjoint(node.output[1:]):
            continue
        written.append(node.name)
        epsilon = attribute(node, "epsilon", 1e-5)
        normed = onnx.helper.make_node(
            "InstanceNormalization", node.input[:3], node.output[:1], node.name, epsilon=epsilon
        )
        node.CopyFrom(normed)
    if not written:
        return None
    note = (
        f"{draft.where}: {len(written)} BatchNormalization ({written[0]}{', ...' if written[1:] else ''}) in training "
        "mode: each image is normalised by its own figures; if the network has running figures, export it again after "
        "network.eval()"
    )
    return Change(draft.with_proto(inferred(proto)), note, 1e-4)


def _trains(node: onnx.NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and bool(attribute(node, "training_mode", 0))


EARLY = Step("training mode", _refuse)
STEP = Step("batch normalisation of one image", _apply)
