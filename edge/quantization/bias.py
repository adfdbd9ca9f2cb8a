"""Bias correction: rounding shifts the mean of a convolution's output, and its bias can take that back.

For each convolution in INT8 the shift is measured on calibration images, channel by channel, with float inputs from
upstream (the local form of Nagel et al., ICCV 2019, section 4.2), so one pass serves any choice of nodes. Nothing is
trained, and the engine is as fast as before. It does not always help: whoever uses it measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray
from onnx import helper

from edge.backends.onnxruntime import Intermediates
from edge.graph.editor import add_weight
from edge.graph.model import Model
from edge.quantization.graph import constant

Array = NDArray[np.float32]

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_PREFIX = "segedge_shift"


def measure_shifts(model: Model, quantized: Model, images: Iterable[Array]) -> dict[str, Array]:
    """Mean of float minus rounded output of each convolution in INT8.

    Args:
        model: the float graph.
        quantized: the same with Q/DQ on the operands themselves (a scheme that is not ``shared``).
        images: calibration images, ``[1, channels, height, width]`` float32 each.

    Returns:
        Node name to ``[out_channels]`` float32; empty where no convolution is in INT8, or there are no images.
    """
    images = iter(images)
    first = next(images, None)
    if first is None:
        return {}
    proto, outputs = _twin_graph(model.proto, quantized.proto)
    if not outputs:
        return {}
    probe = Intermediates(Model(proto, model.task, model.name), list(outputs))
    sums = dict.fromkeys(outputs, np.zeros((), np.float64))
    count = 0
    for image in chain((first,), images):
        count += 1
        for name, value in probe.run(image).items():
            sums[name] = sums[name] + value.reshape(-1).astype(np.float64)
    return {outputs[name]: (total / count).astype(np.float32) for name, total in sums.items()}


def correct_biases(quantized: Model, shifts: Mapping[str, Array]) -> Model:
    """Add shifts to the biases of the convolutions that are in INT8; others are left alone.

    Args:
        quantized: a graph with Q/DQ.
        shifts: from :func:`measure_shifts`; nodes that are float in this graph are skipped.
    """
    graph = quantized.to_ir()
    for node in list(graph.graph):
        if node.name not in shifts or node.op_type not in _CONVOLUTIONS or not _is_rounded(node.inputs[1]):
            continue
        old = node.inputs[2] if len(node.inputs) > 2 else None
        known = constant(old)
        if old is not None and known is None:
            continue
        bias = shifts[str(node.name)] + (0 if known is None else known)
        node.resize_inputs(3)
        node.replace_input_with(2, add_weight(graph.graph, bias, f"{node.name}_corrected_bias"))
    passes.RemoveUnusedNodesPass()(graph)
    return quantized.with_ir(graph)


def _is_rounded(value: ir.Value | None) -> bool:
    producer = value.producer() if value is not None else None
    return producer is not None and producer.op_type == "DequantizeLinear"


def _twin_graph(float_proto: onnx.ModelProto, quantized: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The float graph with every rounded convolution beside its float one, and shift name to node name."""
    proto = onnx.ModelProto()
    proto.CopyFrom(float_proto)
    graph = proto.graph
    have = {w.name for w in graph.initializer}
    graph.initializer.extend(w for w in quantized.graph.initializer if w.name not in have)
    made = {name for node in graph.node for name in node.output}
    added = [node for node in quantized.graph.node if made.isdisjoint(node.output)]  # Q/DQ, and divisions before them
    rounded = {node.output[0] for node in added if node.op_type == "DequantizeLinear"}
    graph.node.extend(added)  # they read float tensors of the same name
    outputs: dict[str, str] = {}
    for node in quantized.graph.node:
        if node.op_type not in _CONVOLUTIONS or node.input[1] not in rounded:
            continue
        stem = f"{_PREFIX}_{len(outputs)}"
        twin = onnx.NodeProto()
        twin.CopyFrom(node)
        twin.name, twin.output[:] = f"{stem}_twin", [f"{stem}_output"]
        graph.node.append(twin)
        graph.node.append(helper.make_node("Sub", [node.output[0], f"{stem}_output"], [f"{stem}_error"]))
        graph.node.append(helper.make_node("GlobalAveragePool", [f"{stem}_error"], [stem]))
        outputs[stem] = node.name
    return proto, outputs
