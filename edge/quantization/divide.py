"""Dividing channels in a graph: which tensors may be divided, by what, and what the weights that read them become."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.graph.editor import integer
from edge.graph.model import MULTIPLIES
from edge.quantization.graph import channel_axis, constant
from edge.quantization.placement import Placement
from edge.quantization.ranges import Clip
from edge.quantization.schemes import Scheme

Array = NDArray[np.float32]

# Compilers run these inside the convolution before them.
_EPILOGUES = ("Relu", "LeakyRelu", "PRelu", "Clip")
# A division joins these in one kernel.
_POINTWISE = ("Add", "Div", "Erf", "Gelu", "HardSwish", "LayerNormalization", "Mul", "Sigmoid", "Sub", "Tanh")


def divisors_of(placement: Placement, clips: Sequence[Clip], int8: Container[str], scheme: Scheme) -> dict[str, Array]:
    """The divisor of each channel of each source, ``[channels]`` float32 by name; empty where it may not be divided.

    A source that several operands come from takes the largest magnitude that any of them gives a channel.

    Args:
        placement: tensors that share a grid.
        clips: of its operands, in order.
        int8: names of the nodes in INT8.
        scheme: the compiler's rules.
    """
    if not all(clip.channels for clip in clips) or not all(_may_divide(source, scheme) for source in placement.sources):
        return {}
    readers = [node for value in placement.operands for node, _ in value.uses() if (node.name or "") in int8]
    if len({channel_axis(node) for node in readers}) != 1 or not all(map(_multiplies_channels, readers)):
        return {}
    if any(node.op_type == "Concat" and node.attributes["axis"].as_int() != 1 for node in placement.carriers):
        return {}
    top = max(clip.amax for clip in clips)
    found: dict[str, Array] = {}
    for operand, clip in zip(placement.operands, clips, strict=True):
        magnitudes, parts = np.array(clip.channels) * clip.amax / top, _parts(operand, placement)
        if sum(count for _, count in parts) != len(magnitudes):
            return {}
        for (name, count), start in zip(parts, np.cumsum([0, *(count for _, count in parts)]), strict=False):
            part = magnitudes[start : start + count].astype(np.float32)
            found[name] = np.maximum(found[name], part) if name in found else part
    return found


def carried(operand: ir.Value, divisors: Mapping[str, Array]) -> Array:
    """The divisor of each channel of an operand, from those of the sources it is moved from."""
    if operand.name in divisors:
        return divisors[str(operand.name)]
    node = operand.producer()
    assert node is not None
    return np.concatenate([carried(value, divisors) for value in node.inputs if value is not None])


def along(divisor: Array, placement: Placement) -> Array:
    """Shaped to broadcast over the tensors of a placement."""
    readers = [node for value in placement.operands for node, _ in value.uses() if node.op_type in MULTIPLIES]
    if channel_axis(readers[0]) == -1:
        return divisor
    rank = len(placement.operands[0].shape or (1, 1, 1, 1))
    return divisor.reshape(1, -1, *[1] * (rank - 2))


def weight_factors(node: ir.Node, shape: Sequence[int], divisor: Array) -> Array:
    """What a node's weight is multiplied by, where its input is divided by ``divisor``; broadcasts over ``shape``."""
    if node.op_type == "Conv":
        groups = integer(node, "group", 1)
        each = np.repeat(divisor.reshape(groups, -1), shape[0] // groups, axis=0)
        return each.reshape(shape[0], shape[1], *[1] * (len(shape) - 2))
    if node.op_type == "ConvTranspose":
        return divisor.reshape(-1, *[1] * (len(shape) - 1))
    if node.op_type == "Gemm" and integer(node, "transB", 0):
        return divisor.reshape(1, -1)
    return divisor.reshape(-1, 1) if len(shape) > 1 else divisor


def _multiplies_channels(node: ir.Node) -> bool:
    """Whether a node reads a weight, and channels along the axis of :func:`~edge.quantization.graph.channel_axis`."""
    return constant(node.inputs[1]) is not None and not integer(node, "transA", 0)


def _may_divide(source: ir.Value, scheme: Scheme) -> bool:
    """Whether dividing costs nothing: rounding does it, or the point-wise function that makes the tensor."""
    node = source.producer()
    if node is None:
        return False
    if scheme.scales_in_rounding:
        return True
    while node is not None and node.op_type in _EPILOGUES:
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return node is not None and node.op_type in _POINTWISE


def _parts(value: ir.Value, placement: Placement) -> list[tuple[str, int]]:
    """Sources of an operand in the order of its channels, with their numbers of channels (0 where unknown)."""
    node = value.producer()
    if any(value is source for source in placement.sources) or node is None:
        return [(str(value.name), _channels(value, placement))]
    return [part for read in node.inputs if read is not None for part in _parts(read, placement)]


def _channels(value: ir.Value, placement: Placement) -> int:
    axis = channel_axis(next(n for v in placement.operands for n, _ in v.uses() if n.op_type in MULTIPLIES))
    count = value.shape[axis] if value.shape is not None else None
    return count if isinstance(count, int) else 0
