"""Which kernels TensorRT for RTX makes of a graph's convolutions: predicted from the graph, and read from a plan.

Rules found in the plans of TensorRT for RTX 1.7 (``benchmarks/rtx_kernels.py`` holds the two against each other):

* An INT8 convolution's kernel holds the product alone. It writes 32-bit floats, whatever the graph says, and another
  kernel adds the bias, applies the activation and rounds: Q/DQ round a convolution takes its activation out of it.
* A float convolution takes in the activation that alone reads it, or the addition of a skip and the activation after.
* Other pointwise layers join it too, unless a kernel that TensorRT generates anyway follows them: one that rounds,
  resizes, reduces or concatenates takes them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from edge.backends.tensorrt.plan import FP16, FP32, INT8, UNKNOWN, PlanLayer
from edge.graph.macs import static_shapes
from edge.graph.model import Model

CONVOLUTIONS = ("Conv", "ConvTranspose")
_OWN = ("Relu", "Sigmoid", "Tanh")  # a convolution's kernel has a switch for each
_PRODUCTS = ("conv", "deconv", "matmul")
_POINTWISE = frozenset(
    (
        *_OWN,
        *("LeakyRelu", "PRelu", "Clip", "HardSigmoid", "HardSwish", "Gelu", "Erf", "Elu", "Selu", "Softplus", "Mish"),
        *("Add", "Sub", "Mul", "Div", "Sqrt", "Exp", "Pow", "Min", "Max", "BatchNormalization", "Cast"),
    )
)
_GENERATED = frozenset(
    (
        *("QuantizeLinear", "Resize", "Concat", "GlobalAveragePool", "ReduceMean", "ReduceMax", "ReduceSum", "Softmax"),
        *("Transpose", "Reshape", "Slice", "Split"),
    )
)
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class ConvKernel:
    """The kernel that computes a convolution.

    Attributes:
        precision: of its product: int8, fp16, fp32 or unknown.
        fused: names of the graph's nodes computed in it, beside the convolution and what only changes types.
    """

    precision: str
    fused: frozenset[str]


def predict_kernels(model: Model) -> Mapping[str, ConvKernel]:
    """Each convolution's kernel, by the rules.

    Args:
        model: as the compiler gets it, with Q/DQ or without.
    """
    wiring = _Wiring(model.proto)
    return {node.name: wiring.kernel(node) for node in model.proto.graph.node if node.op_type in CONVOLUTIONS}


def built_kernels(layers: Sequence[PlanLayer], model: Model) -> Mapping[str, ConvKernel]:
    """Each convolution's kernel, as a plan tells it.

    Args:
        layers: of the plan.
        model: the graph that was compiled.
    """
    operators = {node.name: node.op_type for node in model.proto.graph.node}
    kernels = {}
    for node in model.proto.graph.node:
        if node.op_type not in CONVOLUTIONS:
            continue
        own = [layer for layer in layers if layer.op in _PRODUCTS and node.name in layer.nodes]
        precisions = {layer.precision for layer in own}
        inside = {name for layer in own for name in layer.kernel}
        fused = frozenset(name for name in inside if operators.get(name) in _POINTWISE - {"Cast"})
        kernels[node.name] = ConvKernel(precisions.pop() if len(precisions) == 1 else UNKNOWN, fused)
    return kernels


class _Wiring:
    """Who makes and who reads what."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        graph = proto.graph
        self._shapes = static_shapes(proto)
        self._types = {tensor.name: tensor.data_type for tensor in graph.initializer}
        self._outputs = {value.name for value in graph.output}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def kernel(self, conv: onnx.NodeProto) -> ConvKernel:
        precision = self._precision(conv)
        return ConvKernel(precision, frozenset() if precision == INT8 else frozenset(self._taken(conv)))

    def _precision(self, conv: onnx.NodeProto) -> str:
        makers = [self._makers.get(name) for name in conv.input[:2]]
        if all(maker is not None and maker.op_type == _DEQUANTIZE for maker in makers):
            return INT8
        kind = self._type(conv.input[1]) or self._type(conv.input[0])
        return {TensorProto.FLOAT16: FP16, TensorProto.FLOAT: FP32}.get(kind, UNKNOWN)

    def _type(self, name: str) -> int:
        return self._types.get(name, 0)

    def _taken(self, conv: onnx.NodeProto) -> list[str]:
        """Pointwise layers that run inside a float convolution's kernel."""
        if self._is_grouped(conv):
            return []
        chain = self._chain(conv)
        last = chain[-1] if chain else conv
        generated = any(
            reader.op_type in _GENERATED or self._spreads(reader, last.output[0])
            for reader in self._readers.get(last.output[0], ())
        )
        kept = chain[: _own(chain)] if generated else chain
        return [node.name for node in kept if node.op_type != "Cast"]

    def _chain(self, conv: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Pointwise layers after a node, each the only reader of the one before."""
        chain: list[onnx.NodeProto] = []
        name = conv.output[0]
        while name not in self._outputs and len(readers := self._readers.get(name, [])) == 1:
            if readers[0].op_type not in _POINTWISE or self._spreads(readers[0], name):
                break
            chain.append(readers[0])
            name = readers[0].output[0]
        return chain

    def _spreads(self, node: onnx.NodeProto, name: str) -> bool:
        """Whether a pointwise layer makes a larger tensor of this one: its kernel is another."""
        made = self._shapes.get(node.output[0])
        return node.op_type in _POINTWISE and made is not None and self._shapes.get(name, made) != made

    def _is_grouped(self, conv: onnx.NodeProto) -> bool:
        """In groups, and not depthwise: such kernels have neither a bias nor an activation of their own."""
        groups = next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
        return groups > 1 and self._shapes.get(conv.input[0], (0, groups))[1] != groups


def _own(chain: Sequence[onnx.NodeProto]) -> int:
    """How many of the layers after a convolution are switches of its own kernel."""
    added = int(bool(chain) and chain[0].op_type == "Add")
    return added + int(len(chain) > added and chain[added].op_type in _OWN)
