"""Which nodes leave FP16's range, by calibration: tensors near its end, squares inside norms, sums inside means.

A norm squares how far its input strays from the mean, and a mean sums before it divides; both happen inside one
operator, where no tensor shows them. What would overflow there stays FP32, with its numbers as the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from edge.graph.macs import static_shapes
from edge.graph.model import Model
from edge.quantization.ranges import Ranges, TensorRange

# A tensor that came this near to FP16's end on a few images may pass it on the next.
_HALF_OF_RANGE = 32752.0
NORMS = frozenset(
    (
        "InstanceNormalization",
        "LayerNormalization",
        "GroupNormalization",
        "LpNormalization",
        "MeanVarianceNormalization",
    )
)
_MEANS = frozenset(("ReduceMean", "GlobalAveragePool"))

Shapes = Mapping[str, tuple[int, ...]]


def beyond_half(model: Model, ranges: Ranges) -> dict[str, str]:
    """Names of the nodes that FP16 cannot hold, each with its reason in one phrase.

    Args:
        model: the FP32 graph that was calibrated.
        ranges: of its tensors; a tensor without one is taken to fit.
    """
    shapes = static_shapes(model.proto)
    found = {}
    for node in model.proto.graph.node:
        reason = _far(node, ranges) or _INSIDE.get(node.op_type, _nothing)(node, ranges, shapes)
        if reason:
            found[node.name] = reason
    return found


def watched(model: Model) -> list[str]:
    """Names of the tensors that :func:`beyond_half` asks for beside the operands of convolutions and products."""
    nodes = model.proto.graph.node
    constants = {tensor.name for tensor in model.proto.graph.initializer}
    names = [node.input[0] for node in nodes if node.op_type in NORMS]
    names += [node.output[0] for node in nodes if node.op_type in _MEANS]
    return [name for name in dict.fromkeys(names) if name not in constants]


def over_lowered(keep: Mapping[str, str], lowered: Model) -> dict[str, str]:
    """The same for a lowered graph, where a node's parts are called ``name.part``."""
    names = [node.name for node in lowered.proto.graph.node]
    parts = {name: name.rsplit(".", 1)[0] for name in names if name not in keep and "." in name}
    return {**keep, **{name: keep[whole] for name, whole in parts.items() if whole in keep}}


def _far(node: onnx.NodeProto, ranges: Ranges) -> str:
    known = [ranges.tensors[name] for name in (*node.input, *node.output) if name in ranges.tensors]
    reach = max(map(_reach, known), default=0.0)
    return f"its values reach {reach:.0f}, near the end of FP16" if reach > _HALF_OF_RANGE else ""


def _squares(node: onnx.NodeProto, ranges: Ranges, shapes: Shapes) -> str:
    given = ranges.tensors.get(node.input[0])
    width = given.high - given.low if given is not None else 0.0
    return f"squares inside it reach {width**2:.0f}, FP16 ends at 65504" if width**2 > _HALF_OF_RANGE else ""


def _sums(node: onnx.NodeProto, ranges: Ranges, shapes: Shapes) -> str:
    before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
    made = ranges.tensors.get(node.output[0])
    if before is None or after is None or made is None:
        return ""
    total = _reach(made) * math.prod(before) / max(1, math.prod(after))
    return f"the sum inside it reaches {total:.0f}, FP16 ends at 65504" if total > _HALF_OF_RANGE else ""


def _reach(found: TensorRange) -> float:
    return max(-found.low, found.high)


def _nothing(node: onnx.NodeProto, ranges: Ranges, shapes: Shapes) -> str:
    return ""


_INSIDE: Mapping[str, Callable[[onnx.NodeProto, Ranges, Shapes], str]] = {
    **dict.fromkeys(NORMS, _squares),
    **dict.fromkeys(_MEANS, _sums),
}
