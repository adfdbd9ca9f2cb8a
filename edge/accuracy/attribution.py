"""Where was it lost: the SQNR of every layer of a quantized graph against the float graph, in the source's names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.accuracy.side_by_side import FLOATS, side_by_side
from edge.accuracy.sqnr import CEILING_DB
from edge.graph.bodies import bodies
from edge.graph.model import Model
from edge.graph.native import with_shapes

# What a quantizer puts in; the layers around it are the source's own.
_INSERTED = ("QuantizeLinear", "DequantizeLinear", "Cast")
# What hands on channels that were divided before rounding, until a convolution's weights multiply them again.
_CARRIERS = ("MaxPool", "Concat")


@dataclass(frozen=True)
class LayerLoss:
    """What one layer's output lost.

    Attributes:
        name: of the node, which is the source network's module.
        op: operator.
        tensor: the output that was compared.
        sqnr_db: float against quantized, with everything that was lost before; :data:`CEILING_DB` for equal.
        own_db: what this layer alone loses: the same with the float graph's activations as its inputs.
    """

    name: str
    op: str
    tensor: str
    sqnr_db: float
    own_db: float


@dataclass
class _Power:
    """Sums over all elements of all images."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, signal: float, noise: float) -> None:
        self.signal += signal
        self.noise += noise

    @property
    def ratio(self) -> float:
        """Noise over signal; infinite where a value is not finite."""
        if not (math.isfinite(self.signal) and math.isfinite(self.noise)):
            return math.inf
        return self.noise / self.signal if self.signal else (math.inf if self.noise else 0.0)


def attribute(exact: Model, quantized: Model, inputs: Iterable[NDArray[np.float32]]) -> tuple[LayerLoss, ...]:
    """Compare every layer that both graphs have, image by image, in ONNX Runtime.

    Layers are matched by their node's name and the tensor it makes, so the quantized graph must have been written
    from this float graph. Pooling and concatenation of divided channels make no tensor that the float graph has; what
    is lost there counts for the layer that reads them. Both run exactly as written, the quantized one twice: as it is,
    and with every layer fed the float graph's activations, which shows what that layer alone loses.

    Args:
        exact: float graph.
        quantized: the same with Q/DQ pairs, or in half precision.
        inputs: ``[1, channels, height, width]`` float32; a few images are enough.

    Returns:
        Worst first: by ``own_db``, then by ``sqnr_db``.
    """
    layers = _common_layers(exact, quantized)
    carried, own = _measure(exact, quantized, [tensor for _, _, tensor in layers], list(inputs))
    rows = [
        LayerLoss(name, op, tensor, _decibels(carried[tensor].ratio), _decibels(own[tensor].ratio))
        for name, op, tensor in layers
        if tensor in carried
    ]
    return tuple(sorted(rows, key=lambda row: (row.own_db, row.sqnr_db)))


def _decibels(ratio: float) -> float:
    if ratio == 0.0:
        return CEILING_DB
    return -CEILING_DB if math.isinf(ratio) else min(max(-10.0 * math.log10(ratio), -CEILING_DB), CEILING_DB)


def _common_layers(exact: Model, quantized: Model) -> list[tuple[str, str, str]]:
    """Name, operator and output of every node that both graphs have, in the float graph's order."""
    divided = _divided(exact, quantized)
    there = {
        (node.name, node.output[0])
        for node in quantized.proto.graph.node
        if node.op_type not in _INSERTED and node.output[0] not in divided
    }
    return [
        (node.name or node.output[0], node.op_type, node.output[0])
        for node in exact.proto.graph.node
        if node.op_type != "Constant" and (node.name, node.output[0]) in there and not any(bodies(node))
    ]


def _divided(exact: Model, quantized: Model) -> set[str]:
    """Tensors of the quantized graph whose channels are divided by numbers of their own."""
    made = {name for node in exact.proto.graph.node for name in node.output}
    rounded = {node.input[0] for node in quantized.proto.graph.node if node.op_type == "QuantizeLinear"}
    found: set[str] = set()
    for node in quantized.proto.graph.node:
        divides = node.op_type == "Mul" and node.output[0] not in made and node.output[0] in rounded
        if divides or (node.op_type in (*_INSERTED, *_CARRIERS) and not found.isdisjoint(node.input)):
            found.update(node.output)
    return found


def _measure(
    exact: Model, quantized: Model, tensors: Sequence[str], images: Sequence[NDArray[np.float32]]
) -> tuple[dict[str, _Power], dict[str, _Power]]:
    """Powers by tensor, as it is and with exact inputs; tensors that are not float (shapes, indices) are left out."""
    from edge.backends.onnxruntime import Intermediates

    kinds = _kinds(quantized)
    activations = {tensor: kinds[tensor] for tensor in tensors if kinds[tensor] in FLOATS}
    graph = side_by_side(exact, quantized, activations)
    carried, own = ({tensor: _Power() for tensor in activations} for _ in range(2))
    if activations:
        probe = Intermediates(graph.model, graph.sums, optimize=False)
        for image in images:
            values = {name: float(value) for name, value in probe.run(image).items()}
            for tensor in activations:
                signal, noise, noise_alone = (values[name] for name in graph.names(tensor))
                carried[tensor].add(signal, noise)
                own[tensor].add(signal, noise_alone)
    return carried, own


def _kinds(model: Model) -> dict[str, int]:
    """Element type of every value; float where the graph does not say."""
    graph = with_shapes(model.proto, data_prop=False).graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    names = [name for node in graph.node for name in node.output]
    return {name: known.get(name) or onnx.TensorProto.FLOAT for name in names}
