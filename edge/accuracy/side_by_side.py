"""One graph that runs a float network and its quantized form and hands out what each layer lost, as three sums.

Activations are compared where they are made and are let go there: no tensor leaves the graph, and each network runs
once for all its layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import onnx
from onnx import helper

from edge.graph.model import Model
from edge.graph.native import in_opset

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
"""Element types that are compared."""

_QUANTIZED, _ALONE = "quantized//", "alone//"  # no exporter writes such names
_SIGNAL, _NOISE, _OWN_NOISE = "signal//", "noise//", "own-noise//"
_HALF = "half//"


@dataclass(frozen=True)
class SideBySide:
    """The graph.

    Attributes:
        model: with the float network's input.
        sums: names of its outputs, a number each.
    """

    model: Model
    sums: tuple[str, ...]

    @staticmethod
    def names(tensor: str) -> tuple[str, str, str]:
        """Of a tensor: its own sum of squares, its error's, and its error's with exact inputs to its layer."""
        return _SIGNAL + tensor, _NOISE + tensor, _OWN_NOISE + tensor


def side_by_side(exact: Model, quantized: Model, tensors: Mapping[str, int]) -> SideBySide:
    """Put a float graph, its quantized form, and that once more with exact inputs to every layer, into one graph.

    Args:
        exact: float graph.
        quantized: with the same names for what it shares.
        tensors: activations that both make, and their element type in ``quantized``, one of :data:`FLOATS`; none that
            a node with a body of its own (``If``) makes, whose body reads what the quantized graph carries.
    """
    opset = max(exact.opset, quantized.opset)
    proto, other = _copy(exact, opset), _copy(quantized, opset)
    shared = _share_weights(proto.graph, other.graph)
    onnx.compose.add_prefix(other, _QUANTIZED, rename_functions=False, inplace=True)
    graph, there = proto.graph, other.graph
    for node in there.node:
        node.input[:] = [shared.get(name, name) for name in node.input]
    made = {name for node in there.node for name in node.output if name}
    fed = {_QUANTIZED + tensor: _as_fed(tensor, kind) for tensor, kind in tensors.items()}
    for tensor, kind in tensors.items():
        graph.node.extend(_rounded(tensor, kind) if kind != onnx.TensorProto.FLOAT else ())
    graph.node.append(helper.make_node("Identity", [exact.input_name], [_QUANTIZED + quantized.input_name]))
    graph.node.extend(there.node)
    graph.node.extend(_alone(node, made, fed) for node in there.node)
    graph.initializer.extend(there.initializer)
    graph.sparse_initializer.extend(there.sparse_initializer)
    functions = {(one.domain, one.name) for one in proto.functions}
    proto.functions.extend(one for one in other.functions if (one.domain, one.name) not in functions)
    domains = {one.domain for one in proto.opset_import}
    proto.opset_import.extend(one for one in other.opset_import if one.domain not in domains)
    # ONNX Runtime begins with what the last node needs: first layers last, and no activation waits for a later layer.
    for tensor in reversed(list(tensors)):
        graph.node.extend(_sums(tensor))
    del graph.value_info[:]
    sums = tuple(name for tensor in tensors for name in SideBySide.names(tensor))
    return SideBySide(replace(exact, proto=proto), sums)


def _share_weights(graph: onnx.GraphProto, other: onnx.GraphProto) -> dict[str, str]:
    """Take the weights that both graphs have out of the other; returns their names there, prefixed, to those here."""
    here = {tensor.name: tensor for tensor in graph.initializer}
    own = [tensor for tensor in other.initializer if here.get(tensor.name) != tensor]
    kept = {tensor.name for tensor in own}
    shared = {_QUANTIZED + t.name: t.name for t in other.initializer if t.name not in kept}
    del other.initializer[:]
    other.initializer.extend(own)
    return shared


def _copy(model: Model, opset: int) -> onnx.ModelProto:
    if model.opset < opset:
        return in_opset(model.proto, opset)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    return proto


def _rounded(tensor: str, kind: int) -> Iterator[onnx.NodeProto]:
    """The float graph's activation in the quantized graph's type.

    Two casts that undo each other are taken out by ONNX Runtime, and the rounding with them, unless something stands
    between.
    """
    rounded = f"{_HALF}{tensor}/rounded"
    yield helper.make_node("Cast", [tensor], [rounded], to=kind)
    yield helper.make_node("Identity", [rounded], [_HALF + tensor])


def _as_fed(tensor: str, kind: int) -> str:
    return tensor if kind == onnx.TensorProto.FLOAT else _HALF + tensor


def _alone(node: onnx.NodeProto, made: set[str], fed: Mapping[str, str]) -> onnx.NodeProto:
    """A quantized node that reads the float graph's activations; constants are the quantized graph's own."""
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    twin.name = node.name and _ALONE + node.name
    twin.input[:] = [fed.get(name, _ALONE + name if name in made else name) for name in node.input]
    twin.output[:] = [name and _ALONE + name for name in node.output]
    return twin


def _sums(tensor: str) -> Iterator[onnx.NodeProto]:
    """The three sums of a tensor, in float32 whatever the layers compute in: within 2 % for the largest tensors."""
    signal, *noises = SideBySide.names(tensor)
    yield helper.make_node("ReduceSumSquare", [tensor], [signal], keepdims=0)
    for noise, actual in zip(noises, (_QUANTIZED + tensor, _ALONE + _QUANTIZED + tensor), strict=True):
        kept, wide, error = (f"{noise}/{part}" for part in ("kept", "wide", "error"))
        yield helper.make_node("Identity", [actual], [kept])  # see _rounded
        yield helper.make_node("Cast", [kept], [wide], to=onnx.TensorProto.FLOAT)
        yield helper.make_node("Sub", [wide, tensor], [error])
        yield helper.make_node("ReduceSumSquare", [error], [noise], keepdims=0)
