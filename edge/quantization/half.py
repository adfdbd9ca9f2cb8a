"""FP16 as casts in the graph, with FP32 inputs and outputs.

Strongly typed compilers (TensorRT 10 and newer) run what the graph says, so half precision must be written into it.
Quantize and dequantize nodes take part: their scales become FP16, which ONNX allows from opset 19 on.

A value is cast at most once to each type, right where it is made, and every reader shares that cast. (A cast for each
reader, named after the value, is how other converters come to write one name twice.)
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.errors import InputError
from edge.graph.editor import add_weight, integer
from edge.graph.model import Model
from edge.graph.names import unique_name
from edge.graph.native import infer_shapes

FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
MIN_SCALE = float(np.float16(2.0**-14))  # smallest normal FP16: a scale below loses bits, and underflows to 0 at 6e-8
MAX_HALF = 65504.0
_COARSEST = 8.0  # a weight's scale may be raised by so much (15 levels stay); an activation's not at all
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
# Inputs that ONNX types as FP32 whatever the data's type is.
_ALWAYS_FLOAT: Mapping[str, Collection[int]] = {"Resize": (1, 2), "Upsample": (1,)}
_CONTROL_FLOW = {"If", "Loop", "Scan"}
# A square leaves FP16's range above 255, and what follows is only small again behind the root.
_SQUARES = {"ReduceSumSquare", "ReduceL2"}
_ROOTS = {"Sqrt", "Reciprocal", "ReduceL2"}
_SQUARE = "squares overflow in FP16, so everything up to the root stays FP32"
_ASKED = "left FP32 on request"
_WEIGHT = "a weight exceeds FP16's largest value"
_INDEX = "indices lose digits in FP16"
_SCALE = "FP16 cannot hold its scale"
_MADE = "makes FP32 values itself"


def to_half(model: Model, keep: Container[str] = ()) -> Model:
    """Write FP16 into a graph: everything but what :func:`stays_float` names runs in half precision.

    Args:
        model: an FP32 graph, with or without quantize and dequantize nodes.
        keep: names of nodes that stay FP32; a mapping gives each its reason.

    Returns:
        The typed graph; its inputs and outputs are FP32 as before.

    Raises:
        InputError: control flow in the graph; quantization below opset 19; a value without a type.
    """
    graph = _typed(model)
    quantized = any(node.op_type in (QUANTIZE, DEQUANTIZE) for node in graph.graph)
    if quantized and model.opset < 19:
        raise InputError(f"{model.name}: FP16 scales need opset 19, the graph has {model.opset}; export it at 20")
    reasons = _reasons(graph.graph, keep)
    editor = _Editor(graph.graph)
    if quantized:
        _raise_small_scales(editor, reasons)
    floats = _floats(graph.graph)
    casts = _Casts(editor)
    for node in list(graph.graph):
        half = node not in reasons
        exempt = _ALWAYS_FLOAT.get(node.op_type, ())
        for index, value in enumerate(node.inputs):
            if value is not None and value in floats:
                wanted = HALF if half and index not in exempt else FLOAT
                node.replace_input_with(index, casts.of(value, wanted))
        if half:
            if node.op_type == "Cast" and node.attributes["to"].as_int() == FLOAT:
                node.attributes["to"] = ir.AttrInt64("to", HALF)
            for value in node.outputs:
                if value in floats:
                    value.dtype = HALF
    for index, value in enumerate(graph.graph.outputs):
        if value.dtype == HALF and value in floats:
            graph.graph.outputs[index] = casts.output(value)
    _drop_unused_weights(graph.graph)
    return model.with_ir(graph)


def stays_float(model: Model, keep: Container[str] = ()) -> dict[str, str]:
    """Names of the nodes that :func:`to_half` leaves FP32, each with its reason."""
    graph = _typed(model)
    return {node.name or "": reason for node, reason in _reasons(graph.graph, keep).items()}


def computed_wide(model: Model, keep: Container[str] = ()) -> dict[str, str]:
    """Of :func:`stays_float` what computes: neither Q/DQ pairs, nor casts, nor what makes indices or shapes."""
    graph = _typed(model)
    reasons = _reasons(graph.graph, keep)
    return {
        node.name or "": reason
        for node, reason in reasons.items()
        if reason not in (_INDEX, _MADE) and node.op_type not in (QUANTIZE, DEQUANTIZE, "Cast")
    }


def _typed(model: Model) -> ir.Model:
    import onnx_ir.passes.common as passes

    graph = model.to_ir()
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    infer_shapes(graph, data_prop=False)
    for node in graph.graph:
        if node.op_type in _CONTROL_FLOW:
            raise InputError(f"{model.name}: {node.op_type} node {node.name!r} has a graph inside; export it unrolled")
        for value in node.outputs:
            if value.name and value.dtype is None:
                raise InputError(f"{model.name}: the type of {value.name!r} is unknown; export the model again")
    return graph


def _values(graph: ir.Graph) -> list[ir.Value]:
    made = [value for node in graph for value in node.outputs]
    return [*graph.inputs, *graph.initializers.values(), *made]


def _floats(graph: ir.Graph) -> set[ir.Value]:
    return {value for value in _values(graph) if value.dtype == FLOAT}


# ------------------------------------------------------------------------------------------------ what stays FP32


def _reasons(graph: ir.Graph, keep: Container[str]) -> dict[ir.Node, str]:
    reasons: dict[ir.Node, str] = {}
    floats = _floats(graph)
    for node in graph:
        if (node.name or "") in keep:
            reasons[node] = keep[node.name or ""] if isinstance(keep, Mapping) else _ASKED
        elif node.op_type == "Cast" and node.inputs[0] in floats and node.outputs[0].dtype.is_integer():  # type: ignore[union-attr]
            reasons[node] = _INDEX
        elif node.op_type != "Cast" and floats.isdisjoint(node.inputs) and not floats.isdisjoint(node.outputs):
            reasons[node] = _MADE
        elif any(_overflows(value) for value in node.inputs if value in floats):
            reasons[node] = _WEIGHT
        elif any(_scale_underflows(value) for value in node.inputs):
            reasons[node] = _SCALE
        if _is_square(node):
            _spread(node, reasons)
    _follow_readers(graph, reasons)
    return reasons


def _overflows(value: ir.Value | None) -> bool:
    if value is None or value.const_value is None:
        return False
    array = np.abs(value.const_value.numpy())
    return bool((array[np.isfinite(array)] > MAX_HALF).any())


def _scale_underflows(value: ir.Value | None) -> bool:
    """Whether a value comes from a dequantize node whose scale cannot be raised without losing the tensor."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != DEQUANTIZE:
        return False
    scale = _array(node.inputs[1])
    least = MIN_SCALE if _array(node.inputs[0]) is None else MIN_SCALE / _COARSEST
    return scale is not None and bool((scale < least).any())


def _is_square(node: ir.Node) -> bool:
    if node.op_type == "Pow":
        exponent = node.inputs[1]
        tensor = exponent.const_value if exponent is not None else None
        return tensor is None or bool((np.abs(tensor.numpy()) > 1).any())
    return node.op_type in _SQUARES or (node.op_type == "Mul" and node.inputs[0] is node.inputs[1])


def _spread(node: ir.Node, reasons: dict[ir.Node, str]) -> None:
    """Keep a square FP32, and what its value passes through up to the root."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if reasons.setdefault(node, _SQUARE) == _SQUARE and node.op_type not in _ROOTS:
            for value in node.outputs:
                waiting += [reader for reader, _ in value.uses() if reader not in reasons and reader.op_type != "Div"]


def _follow_readers(graph: ir.Graph, reasons: dict[ir.Node, str]) -> None:
    """A pair of quantize and dequantize whose readers all stay FP32 does too: a cast between would hide the pair."""
    for node in reversed(list(graph)):
        if node.op_type in (QUANTIZE, DEQUANTIZE):
            readers = [reader for value in node.outputs for reader, _ in value.uses()]
            if readers and all(reader in reasons for reader in readers):
                reasons.setdefault(node, reasons[readers[0]])


# ------------------------------------------------------------------------------------------------ scales


def _raise_small_scales(editor: _Editor, reasons: Container[ir.Node]) -> None:
    """Raise scales that FP16 cannot hold to its smallest normal number, and round their INT8 weights anew."""
    for node in editor.graph:
        if node.op_type not in (QUANTIZE, DEQUANTIZE) or node in reasons:
            continue
        scale = node.inputs[1]
        old = _array(scale)
        if scale is None or old is None or not (old < MIN_SCALE).any():
            continue
        new = np.maximum(old, np.float32(MIN_SCALE))
        levels = _array(node.inputs[0])
        if node.op_type == DEQUANTIZE and levels is not None:
            ratio = _along(old / new, node, levels.ndim)
            rounded = np.rint(levels.astype(np.float32) * ratio).astype(levels.dtype)
            node.replace_input_with(0, editor.weight(rounded, f"{_name(node.inputs[0])}_regrid"))
        node.replace_input_with(1, editor.weight(new, f"{scale.name}_floor"))


def _along(scale: NDArray[np.floating[Any]], node: ir.Node, rank: int) -> NDArray[np.floating[Any]]:
    if scale.size == 1:
        return scale.reshape(())
    shape = [1] * rank
    shape[integer(node, "axis", 1)] = -1
    return scale.reshape(shape)


def _array(value: ir.Value | None) -> NDArray[np.float32] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


# ------------------------------------------------------------------------------------------------ casts


class _Editor:
    """One graph and every name in it."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._names = {value.name for value in _values(graph)} | {node.name for node in graph}

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        return unique_name(hint, self._names, "_")

    def weight(self, array: NDArray[np.generic], hint: str) -> ir.Value:
        """A new weight."""
        return add_weight(self.graph, array, self.fresh(hint))

    def cast(self, value: ir.Value, wanted: ir.DataType) -> ir.Value:
        """A new cast, right behind what makes the value."""
        suffix = "half" if wanted == HALF else "float"
        output = ir.Value(name=self.fresh(f"{value.name}_as_{suffix}"), shape=value.shape, type=ir.TensorType(wanted))
        name = self.fresh(f"{value.name}/to_{suffix}")
        node = ir.node("Cast", [value], {"to": int(wanted)}, outputs=[output], name=name)
        producer = value.producer()
        if producer is not None:
            self.graph.insert_after(producer, node)
        else:
            self.graph.insert_before(self.graph[0], node)
        return output


class _Casts:
    """Every value in every type it is asked for: one cast for each, shared by all readers."""

    def __init__(self, editor: _Editor) -> None:
        self._editor = editor
        self._made: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def of(self, value: ir.Value, wanted: ir.DataType) -> ir.Value:
        """The value in the wanted type: itself, a converted weight, or a cast."""
        if value.dtype == wanted:
            return value
        if (value, wanted) not in self._made:
            weight = value.const_value
            self._made[(value, wanted)] = (
                self._editor.cast(value, wanted)
                if weight is None
                else self._editor.weight(_halved(weight.numpy()), f"{value.name}_as_half")
            )
        return self._made[(value, wanted)]

    def output(self, value: ir.Value) -> ir.Value:
        """An FP32 value under the graph output's own name; the value itself is renamed."""
        name, value.name = value.name, self._editor.fresh(f"{value.name}_half")
        made = self.of(value, FLOAT)
        made.name = name
        return made


def _halved(array: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # infinities stay infinities; whoever reads a finite overflow was kept FP32
        return array.astype(np.float16)


def _drop_unused_weights(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del graph.initializers[name]


def _name(value: ir.Value | None) -> str:
    return (value.name or "") if value is not None else ""
