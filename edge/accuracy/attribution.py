"""Where was it lost: the SQNR of every layer of a quantized graph against the float graph, in the source's names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.accuracy.sqnr import CEILING_DB
from edge.graph.groups import in_groups
from edge.graph.model import Model
from edge.graph.native import with_shapes

_BYTES_AT_ONCE = 160 << 20  # bounds memory: activations of so many bytes live together, in each of three graphs
_UNKNOWN = _BYTES_AT_ONCE // 16
_FLOATS: Mapping[int, type[np.floating[Any]]] = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.FLOAT16: np.float16,
}
_FED = "__exact"
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
    """Sums over all elements of all images, in float64."""

    signal: float = 0.0
    noise: float = 0.0
    broken: bool = False

    def add(self, exact: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
        if not (np.isfinite(exact).all() and np.isfinite(actual).all()):
            self.broken = True
            return
        wide = exact.astype(np.float64)
        self.signal += float(np.square(wide).sum())
        self.noise += float(np.square(wide - actual).sum())

    @property
    def ratio(self) -> float:
        """Noise over signal."""
        if self.broken:
            return math.inf
        return self.noise / self.signal if self.signal else (math.inf if self.noise else 0.0)


def attribute(exact: Model, quantized: Model, inputs: Iterable[NDArray[np.float32]]) -> tuple[LayerLoss, ...]:
    """Compare every layer that both graphs have, image by image, in ONNX Runtime.

    Layers are matched by their node's name and the tensor it makes, so the quantized graph must have been written
    from this float graph. Pooling and concatenation of divided channels make no tensor that the float graph has; what
    is lost there counts for the layer that reads them. The float graph runs optimized, the quantized one exactly as
    written: once as it is, and once with every layer fed the float graph's activations, which shows what that layer
    alone loses.

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
        if node.op_type != "Constant" and (node.name, node.output[0]) in there
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

    carried: dict[str, _Power] = {}
    own: dict[str, _Power] = {}
    kinds, sizes = _kinds(quantized)
    activations = [t for t in tensors if kinds[t] in _FLOATS]
    # Every group runs both graphs again, so few are better.
    for group in in_groups(((t, sizes[t]) for t in activations), _BYTES_AT_ONCE):
        alone, needed = _fed(quantized, group, {t: kinds[t] for t in activations})
        float_probe = Intermediates(exact, [*dict.fromkeys([*group, *needed])])
        probe, alone_probe = (Intermediates(model, group, optimize=False) for model in (quantized, alone))
        for image in images:
            wanted = float_probe.run(image)
            given = {t + _FED: wanted[t].astype(_FLOATS[kinds[t]]) for t in needed}
            for powers, actual in ((carried, probe.run(image)), (own, alone_probe.run(image, given))):
                for tensor in group:
                    powers.setdefault(tensor, _Power()).add(wanted[tensor], actual[tensor].astype(np.float32))
    return carried, own


def _fed(quantized: Model, group: Sequence[str], kinds: Mapping[str, int]) -> tuple[Model, list[str]]:
    """The part of a graph that makes ``group`` when every layer reads given activations, and which ones it reads."""
    proto = onnx.ModelProto()
    proto.CopyFrom(quantized.proto)
    for node in proto.graph.node:
        for index, name in enumerate(node.input):
            if name in kinds:
                node.input[index] = name + _FED
    needed, kept = set(group), []
    for node in reversed(proto.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    fed = [name for name in kinds if name + _FED in needed]
    del proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.node.extend(reversed(kept))
    proto.graph.input.extend(onnx.helper.make_tensor_value_info(t + _FED, kinds[t], None) for t in fed)
    return replace(quantized, proto=proto), fed


def _kinds(model: Model) -> tuple[dict[str, int], dict[str, int]]:
    """Element type and bytes (at float32) of every value; where the graph does not say, float, and so large that few
    are held at once."""
    graph = with_shapes(model.proto, data_prop=False).graph
    known = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.output)}
    names = [name for node in graph.node for name in node.output]
    kinds = {n: known[n].elem_type or onnx.TensorProto.FLOAT if n in known else onnx.TensorProto.FLOAT for n in names}
    sizes = {n: 4 * math.prod(d.dim_value or 1 for d in known[n].shape.dim) if n in known else _UNKNOWN for n in names}
    return kinds, sizes
