"""Roofline of a graph with Q/DQ: what each layer would take at a device's peaks, rounding included.

A compiler that runs Q/DQ graphs lets a layer write 8 bits where only quantized layers read it; where a float layer
reads it too, rounding is a pass of its own over the tensor. So INT8 between float neighbours costs what it should.
Where it is known which kernels the compiler makes of the convolutions, what they do not hold is a pass of its own too.
Always an estimate, see :mod:`edge.latency.estimate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import onnx

from edge.graph.macs import Shapes, node_macs, static_shapes
from edge.graph.model import MULTIPLIES, Model
from edge.latency.estimate import BYTES, FREE, POINTWISE, LayerEstimate, Peaks, layer_estimate

_ROUND, _UNROUND = "QuantizeLinear", "DequantizeLinear"
_INT8, _SUMS = "int8", "fp32"  # an INT8 product that is written by itself is written in 32 bits
_MERGED = POINTWISE - {_ROUND, _UNROUND}


class Kernel(Protocol):
    """The kernel of a convolution; :class:`edge.backends.tensorrt.kernels.ConvKernel` is one."""

    @property
    def precision(self) -> str:
        """Of its product."""
        ...

    @property
    def fused(self) -> frozenset[str]:
        """Names of the other nodes computed in it."""
        ...


def estimate_quantized(
    model: Model, rest: str, peaks: Peaks, kernels: Mapping[str, Kernel] | None = None
) -> tuple[LayerEstimate, ...]:
    """Each layer at the device's peaks, in the graph's order; those that cost nothing are left out.

    Args:
        model: with Q/DQ or without, static shapes, batch 1.
        rest: precision of what is not in INT8: fp32, fp16 or bf16.
        peaks: of the device.
        kernels: of its convolutions by name, where the compiler's are known; None merges all that can be.
    """
    wiring = _Wiring.of(model.proto, kernels or {})
    rows = (_row(node, wiring, rest, peaks) for node in model.proto.graph.node)
    return tuple(row for row in rows if row is not None)


@dataclass(frozen=True)
class _Wiring:
    """Who reads what.

    Attributes:
        shapes: of every tensor.
        readers: tensor to the nodes that read it.
        rounded: tensors that come out of a dequantize node, so that 8 bits are read.
        weights: tensors that are stored in the graph.
        holders: tensor to the known kernel that makes it.
    """

    shapes: Shapes
    readers: Mapping[str, list[onnx.NodeProto]]
    rounded: frozenset[str]
    weights: frozenset[str]
    holders: Mapping[str, Kernel]

    @classmethod
    def of(cls, proto: onnx.ModelProto, kernels: Mapping[str, Kernel]) -> _Wiring:
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in proto.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        rounded = frozenset(node.output[0] for node in proto.graph.node if node.op_type == _UNROUND)
        weights = frozenset(tensor.name for tensor in proto.graph.initializer)
        homes = {name: kernel for conv, kernel in kernels.items() for name in (conv, *kernel.fused)}
        holders = {name: homes[node.name] for node in proto.graph.node if node.name in homes for name in node.output}
        return cls(static_shapes(proto), readers, rounded, weights, holders)

    def elements(self, name: str) -> int:
        """Of a tensor, 0 where its shape is unknown."""
        return math.prod(self.shapes[name]) if name in self.shapes else 0

    def bytes(self, name: str, rest: str) -> int:
        """Of a tensor where a layer that is not quantized reads or writes it."""
        return self.elements(name) * BYTES[_SUMS if self.is_sums(name) else rest]

    def merged_into(self, name: str) -> onnx.NodeProto | None:
        """The pointwise layer that takes the tensor out of the registers of the layer before; None where none does."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or readers[0].op_type not in _MERGED:
            return None
        if name in self.holders and readers[0].name not in self.holders[name].fused:
            return None
        return readers[0] if name == next(filter(self._is_private, readers[0].input), None) else None

    def stored(self, name: str) -> str:
        """What is stored in the tensor's place: the output of the last pointwise layer merged after it."""
        reader = self.merged_into(name)
        return name if reader is None else self.stored(reader.output[0])

    def _is_private(self, name: str) -> bool:
        """Computed in float, and read once."""
        return len(self.readers.get(name, [])) == 1 and name not in self.rounded and name not in self.weights

    def is_written_in_8_bits(self, name: str) -> bool:
        """Whether only rounding reads the tensor, and is done in the layer that writes it."""
        readers = self.readers.get(name, [])
        return name not in self.holders and bool(readers) and all(reader.op_type == _ROUND for reader in readers)

    def is_sums(self, name: str) -> bool:
        """Whether the tensor is an INT8 product with nothing done to it yet."""
        return name in self.holders and self.holders[name].precision == _INT8

    def is_finished_apart(self, name: str) -> bool:
        """Whether scaling such sums and adding the bias is a pass of its own: no generated layer reads them alone."""
        readers = self.readers.get(name, [])
        return self.is_sums(name) and not (
            readers and all(reader.op_type in _MERGED or reader.op_type == _ROUND for reader in readers)
        )


def _row(node: onnx.NodeProto, wiring: _Wiring, rest: str, peaks: Peaks) -> LayerEstimate | None:
    if node.op_type in FREE or node.op_type == _UNROUND:
        return None
    if node.op_type == _ROUND:
        source = node.input[0]
        if source in wiring.weights or wiring.is_written_in_8_bits(source):
            return None
        size = wiring.bytes(source, rest) + BYTES[_INT8] * wiring.elements(source)
        return layer_estimate(node, rest, 0, size, peaks)
    quantized = node.op_type in MULTIPLIES and all(name in wiring.rounded for name in node.input[:2])
    merged = [name for name in node.input if wiring.merged_into(name) is not None]
    read = sum(
        wiring.elements(name) * BYTES[_INT8] if name in wiring.rounded else wiring.bytes(name, rest)
        for name in node.input
        if name and name not in merged
    )
    written = sum(_written(name, wiring, rest) for name in map(wiring.stored, node.output) if name and not merged)
    kind = _INT8 if quantized else rest
    size = read + written
    return layer_estimate(node, kind, node_macs(node, wiring.shapes), size, peaks) if size else None


def _written(name: str, wiring: _Wiring, rest: str) -> int:
    """Bytes that a layer writes, and those of a pass that must follow before anything else reads them."""
    if wiring.is_written_in_8_bits(name):
        return wiring.elements(name) * BYTES[_INT8]
    finished = wiring.elements(name) * (BYTES[_SUMS] + BYTES[rest]) if wiring.is_finished_apart(name) else 0
    return wiring.bytes(name, rest) + finished
