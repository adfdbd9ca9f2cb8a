"""Which kernels TensorRT for RTX makes of a graph's convolutions: predicted from the graph, and read from a plan.

Rules found in the plans of TensorRT for RTX 1.7 (``benchmarks/rtx_kernels.py`` holds the two against each other):

* An INT8 convolution's kernel holds the product alone. It writes 32-bit floats, whatever the graph says, and another
  kernel adds the bias, applies the activation and rounds: Q/DQ round a convolution takes its activation out of it.
* A float convolution takes in the activation that alone reads it, or the addition of a skip and the activation after.
  Of two convolutions that are added one takes the addition in; which, the graph does not tell, and both are said to.
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
_PRECISIONS: Mapping[int, str] = {TensorProto.FLOAT16: FP16, TensorProto.FLOAT: FP32}
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
        *("QuantizeLinear", "Resize", "GlobalAveragePool", "ReduceMean", "ReduceMax", "ReduceSum", "Softmax"),
        *("Transpose", "Reshape", "Slice", "Split"),
    )
)
_LONGEST = 6  # steps until the branches of an activation written out meet again
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
        telling = [layer for layer in layers if node.name in layer.nodes]
        # A small convolution may be computed by a pointwise kernel: then that is its kernel.
        own = [layer for layer in telling if layer.op in _PRODUCTS] or telling
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
        computed = TensorProto.FLOAT16 if TensorProto.FLOAT16 in self._types.values() else TensorProto.FLOAT
        return _PRECISIONS.get(self._types.get(conv.input[1], computed), UNKNOWN)

    def _taken(self, conv: onnx.NodeProto) -> list[str]:
        """Pointwise layers that run inside a float convolution's kernel."""
        if self._is_grouped(conv):
            return []
        chain = self._chain(conv)
        last = (chain[-1] if chain else conv).output[0]
        own = chain[: self._own(conv, chain)]
        after = chain[len(own)] if len(own) < len(chain) else None
        # Behind an activation that is a switch, constants may scale and shift; what is computed elsewhere stays out.
        closed = bool(own) and own[-1].op_type in _OWN and after is not None and self._meets(after)
        kept = own if closed or self._is_generated_after(last) else chain
        return [node.name for node in kept if node.op_type != "Cast"]

    def _chain(self, conv: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Pointwise layers after a node that together read what it makes, and leave one tensor for others."""
        chain: list[onnx.NodeProto] = []
        name = conv.output[0]
        while found := self._joined(name):
            more, name = found
            chain += more
        return chain

    def _joined(self, name: str) -> tuple[list[onnx.NodeProto], str] | None:
        """The next pointwise layers after a tensor, up to where all branches of it meet again (Swish, for one)."""
        region: list[onnx.NodeProto] = []
        open_ends = [name]
        for _ in range(_LONGEST):
            for end in open_ends:
                readers = self._readers.get(end, [])
                if not readers or end in self._outputs or any(not self._joins(node, end) for node in readers):
                    return None
                region += [node for node in readers if node not in region]
            made = [node.output[0] for node in region]
            open_ends = [
                n
                for n in made
                if any(reader not in region for reader in self._readers.get(n, []))
                or n in self._outputs
                or not self._readers.get(n)
            ]
            if len(open_ends) == 1:
                return region, open_ends[0]
        return None

    def _joins(self, node: onnx.NodeProto, name: str) -> bool:
        return node.op_type in _POINTWISE and not self._spreads(node, name)

    def _meets(self, node: onnx.NodeProto) -> bool:
        """Whether a layer has more than one computed operand."""
        return sum(name in self._makers for name in node.input) > 1

    def _spreads(self, node: onnx.NodeProto, name: str) -> bool:
        """Whether a pointwise layer makes a larger tensor of this one: its kernel is another."""
        made = self._shapes.get(node.output[0])
        return node.op_type in _POINTWISE and made is not None and self._shapes.get(name, made) != made

    def _is_grouped(self, conv: onnx.NodeProto) -> bool:
        """In groups, and not depthwise: such kernels have neither a bias nor an activation of their own."""
        groups = next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
        return groups > 1 and self._shapes.get(conv.input[0], (0, groups))[1] != groups

    def _own(self, conv: onnx.NodeProto, chain: Sequence[onnx.NodeProto]) -> int:
        """How many of the layers after a convolution are switches of its own kernel."""
        count, name = 0, conv.output[0]
        for kinds in (("Add",), _OWN):
            if count < len(chain) and chain[count].op_type in kinds and len(self._readers[name]) == 1:
                name = chain[count].output[0]
                count += 1
        return count

    def _is_generated_after(self, name: str) -> bool:
        """Whether TensorRT generates a kernel that reads the tensor: one that takes in pointwise layers before it."""
        return any(
            self._rounds(node.output[0]) if node.op_type == "Concat"  # written in place; rounded branch by branch
            else node.op_type in _GENERATED or self._spreads(node, name)
            for node in self._readers.get(name, [])
        )  # fmt: skip

    def _rounds(self, name: str) -> bool:
        return any(node.op_type == _QUANTIZE for node in self._readers.get(name, []))
