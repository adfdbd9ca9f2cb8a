"""FP16 step by step: norms and softmax of a typed graph written out, so that a simulation rounds where a device may.

ONNX Runtime's CPU computes FP16 operators in float32, and takes the casts between two of them out; so each step is
written in float32 with a cast to half and back behind it.

::

    x ─ InstanceNormalization ─ y                                  one kernel; in ONNX Runtime float32 inside
    x ─ x - mean(x) ─ (·)² ─ mean ─ + ε ─ √ ─ / ─ · γ + β          every step rounded to half

A strongly typed compiler may keep float32 inside such a kernel or not; what its graph promises is half. What survives
this survives either. For simulation only: no device is given this graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from edge.graph.editor import add_weight, integer, number
from edge.graph.model import Model
from edge.graph.native import infer_shapes

HALF = ir.DataType.FLOAT16
_SMALLEST = 6e-8  # FP16's smallest number: an epsilon below it would be 0


def in_half_steps(model: Model) -> Model:
    """The same graph with every norm and softmax that is typed FP16 as single FP16 steps; itself where it has none."""

    graph = model.to_ir()
    infer_shapes(graph, data_prop=False)
    found = [node for node in graph.graph if node.op_type in _STEPS and _is_half(node)]
    for node in found:
        steps = _Steps(graph.graph, node)
        steps.take_over(_STEPS[node.op_type](steps, node))
    return model.with_ir(graph) if found else model


def _is_half(node: ir.Node) -> bool:
    return node.outputs[0].dtype == HALF and _rank(node) > 0


def _rank(node: ir.Node) -> int:
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    return 0 if shape is None else len(shape)


class _Steps:
    """Writes FP16 steps in front of one node and then puts their result in its place."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self._graph, self._node, self._count = graph, node, 0

    def constant(self, array: object, dtype: type = np.float16) -> ir.Value:
        return add_weight(self._graph, np.asarray(array, dtype), self._fresh("constant"))

    def op(self, kind: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """One step, rounded to half: computed in float32 and cast there and back, which no runtime may leave out."""
        wide = self._node_of(kind, [self._wide(value) for value in inputs], attributes, ir.DataType.FLOAT)
        return self._node_of("Cast", [wide], {"to": int(HALF)}, HALF)

    def reduce(self, kind: str, value: ir.Value | None, axes: Sequence[int]) -> ir.Value:
        if self._graph.opset_imports.get("", 0) >= (13 if kind == "ReduceSum" else 18):
            return self.op(kind, value, self.constant(list(axes), np.int64), keepdims=1)
        return self.op(kind, value, axes=list(axes), keepdims=1)

    def _wide(self, value: ir.Value | None) -> ir.Value | None:
        if value is None or value.dtype != HALF:
            return value
        return self._node_of("Cast", [value], {"to": int(ir.DataType.FLOAT)}, ir.DataType.FLOAT)

    def _node_of(
        self, kind: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Any], dtype: ir.DataType
    ) -> ir.Value:
        name = self._fresh(kind)
        output = ir.Value(name=f"{name}_out", type=ir.TensorType(dtype))
        self._graph.insert_before(self._node, ir.node(kind, inputs, attributes, outputs=[output], name=name))
        return output

    def normed(self, x: ir.Value | None, axes: Sequence[int], epsilon: float) -> ir.Value:
        """``(x - mean) / √(mean of squares + ε)`` over some axes."""
        away = self.op("Sub", x, self.reduce("ReduceMean", x, axes))
        variance = self.reduce("ReduceMean", self.op("Mul", away, away), axes)
        floor = self.constant(max(epsilon, _SMALLEST))
        return self.op("Div", away, self.op("Sqrt", self.op("Add", variance, floor)))

    def affine(self, x: ir.Value, scale: ir.Value | None, shift: ir.Value | None, shape: Sequence[int]) -> ir.Value:
        """``x · scale + shift``, both reshaped first; either may be left out."""
        for kind, value in (("Mul", scale), ("Add", shift)):
            if value is not None:
                x = self.op(kind, x, self.op("Reshape", value, self.constant(list(shape), np.int64)))
        return x

    def take_over(self, value: ir.Value) -> None:
        """Let ``value`` stand for the node's output under its name, and drop the node."""
        old = self._node.outputs[0]
        name, old.name = old.name, None
        value.name = name
        value.shape = old.shape
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        self._graph.remove(self._node, safe=True)

    def _fresh(self, what: str) -> str:
        self._count += 1
        return f"{self._node.name}/half{self._count}/{what}"


def _instance_norm(steps: _Steps, node: ir.Node) -> ir.Value:
    axes = range(2, _rank(node))
    y = steps.normed(node.inputs[0], axes, number(node, "epsilon", 1e-5))
    return steps.affine(y, node.inputs[1], node.inputs[2], (1, -1, *(1 for _ in axes)))


def _layer_norm(steps: _Steps, node: ir.Node) -> ir.Value:
    rank = _rank(node)
    axes = range(integer(node, "axis", -1) % rank, rank)
    y = steps.normed(node.inputs[0], axes, number(node, "epsilon", 1e-5))
    for kind, value in zip(("Mul", "Add"), node.inputs[1:], strict=False):
        if value is not None:
            y = steps.op(kind, y, value)
    return y


def _softmax(steps: _Steps, node: ir.Node) -> ir.Value:
    axis = [integer(node, "axis", -1)]
    raised = steps.op("Exp", steps.op("Sub", node.inputs[0], steps.reduce("ReduceMax", node.inputs[0], axis)))
    return steps.op("Div", raised, steps.reduce("ReduceSum", raised, axis))


_STEPS: Mapping[str, Callable[[_Steps, ir.Node], ir.Value]] = {
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "Softmax": _softmax,
}
