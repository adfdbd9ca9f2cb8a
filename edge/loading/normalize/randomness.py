"""Randomness: a graph that draws random numbers has no one output to keep, so it is refused by name."""

from __future__ import annotations

import onnx

from edge.errors import InputError
from edge.loading.normalize.step import Change, Draft, Step

_RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
)


def _apply(draft: Draft) -> Change | None:
    constants = {tensor.name: tensor for tensor in draft.proto.graph.initializer}
    for node in draft.proto.graph.node:
        if node.op_type in _RANDOM or _is_live_dropout(node, constants):
            raise InputError(
                f"{draft.where}: node {node.name!r} ({node.op_type}) draws random numbers in every run; "
                "export the network in evaluation mode (network.eval()), without test-time dropout or noise"
            )
    return None


def _is_live_dropout(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    training = constants.get(node.input[2])
    if training is None:
        return True  # decided inside the graph
    ratio = constants.get(node.input[1]) if node.input[1] else None
    drops = ratio is None or bool(onnx.numpy_helper.to_array(ratio).any())
    return drops and bool(onnx.numpy_helper.to_array(training).any())


STEP = Step("randomness", _apply)
