"""Write a plan into the graph: Q/DQ in front of every INT8 node, weights stored as int8.

Where they go is what compilers fuse best: only for the operands of Conv, ConvTranspose, MatMul and Gemm, one pair for
each tensor however many nodes read it (:mod:`edge.quantization.placement`). Weights have one scale for each output
channel; biases stay float32 (TensorRT refuses int32 ones, and they cost nothing). Where ranges give each channel of an
activation its own magnitude, the channel is divided in front of the pair and the weights that read it are multiplied.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edge.errors import InputError
from edge.graph.editor import add_weight
from edge.graph.model import Model
from edge.graph.native import in_opset
from edge.quantization.divide import along, carried, divisors_of, weight_factors
from edge.quantization.graph import constant, weight_axis
from edge.quantization.grid import Grid, grid_for, quantize_weight
from edge.quantization.grid_kinds import STEPS, grid_kind, placements
from edge.quantization.placement import Placement, on_operands
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import Scheme

_PER_CHANNEL_OPSET = 13


def quantize(model: Model, ranges: Ranges, plan: PrecisionPlan, scheme: Scheme) -> Model:
    """The quantized graph in one compiler's dialect.

    Args:
        model: the float graph that was calibrated.
        ranges: of its tensors.
        plan: nodes named ``int8`` get Q/DQ.
        scheme: decides each tensor's grid.

    Returns:
        A graph of the same inputs and outputs (float32).

    Raises:
        InputError: a node of the plan is not in the graph, or a tensor was not calibrated.
    """
    graph = _at_least(model, _PER_CHANNEL_OPSET).to_ir()
    writer = _Writer(graph.graph, ranges, scheme, model)
    nodes = {node.name: node for node in graph.graph}
    unknown = sorted(plan.int8 - {name for name in nodes if name})
    if unknown:
        raise InputError(f"plan: no node {unknown[0]!r} in {model.name}; make the plan for this very graph again")
    int8 = [node for node in graph.graph if node.name in plan.int8]
    for placement in placements(graph.graph, plan.int8, scheme):
        writer.round_activations(placement, plan.int8)
    for node in int8:
        writer.round_weights(node)
    if scheme.residuals:
        for node in list(graph.graph):
            if node.op_type == "Add":
                writer.quantize_residual(node, plan.int8)
    graph.graph.sort()
    passes.RemoveUnusedNodesPass()(graph)
    return model.with_ir(graph)


class _Writer:
    def __init__(self, graph: ir.Graph, ranges: Ranges, scheme: Scheme, model: Model) -> None:
        self._graph, self._ranges, self._scheme, self._task = graph, ranges, scheme, model.task
        self._rounded: dict[str, ir.Value] = {}
        self._weights: dict[tuple[str, int | None], ir.Value] = {}

    def round_activations(self, placement: Placement, int8: Container[str]) -> None:
        """One grid for all of a placement; its carriers and INT8 nodes read the rounded sources."""
        grid = self._grid(placement)
        divisors = self._divisors(placement, int8)
        for source in placement.sources:
            uses = list(source.uses())  # before Q becomes one of them
            divisor = divisors.get(str(source.name))
            rounded = self._activation(source, grid, divisor)
            if divisor is None:
                self._rounded[str(source.name)] = rounded
            for node, index in uses:
                if node in placement.carriers or ((node.name or "") in int8 and index < 2):
                    node.replace_input_with(index, rounded)

    def round_weights(self, node: ir.Node) -> None:
        """A DQ behind every constant operand of a node, its levels stored as int8."""
        for index, value in enumerate(node.inputs[:2]):
            if value is not None and (weight := constant(value)) is not None:
                axis = self._axis(node, weight) if index == 1 else None
                key = (str(value.name), axis)
                if key not in self._weights:
                    self._weights[key] = self._weight(value, weight, axis)
                node.replace_input_with(index, self._weights[key])

    def quantize_residual(self, add: ir.Node, int8: Container[str]) -> None:
        """Round the skip operand of an Add, where the other is a convolution in INT8 that nothing else reads."""
        for branch, skip in ((0, 1), (1, 0)):
            conv = add.inputs[branch].producer() if add.inputs[branch] is not None else None  # type: ignore[union-attr]
            value = add.inputs[skip]
            fuses = conv is not None and conv.op_type == "Conv" and (conv.name or "") in int8
            if fuses and len(add.inputs[branch].uses()) == 1 and self._is_calibrated(value):  # type: ignore[union-attr]
                add.replace_input_with(skip, self._rounded_alone(value))  # type: ignore[arg-type]
                return

    def _rounded_alone(self, value: ir.Value) -> ir.Value:
        if str(value.name) not in self._rounded:
            self._rounded[str(value.name)] = self._activation(value, self._grid(on_operands([value])[0]))
        return self._rounded[str(value.name)]

    def _is_calibrated(self, value: ir.Value | None) -> bool:
        return value is not None and constant(value) is None and str(value.name) in self._ranges.tensors

    def _axis(self, node: ir.Node, weight: NDArray[np.float32]) -> int | None:
        axis = self._scheme.weight_axes[node.op_type]
        if axis is None or weight.ndim < 2:
            return None
        return weight_axis(node, axis) % weight.ndim

    def _divisors(self, placement: Placement, int8: Container[str]) -> dict[str, NDArray[np.float32]]:
        """Divisor by source name, ready to broadcast; the weights that read the operands are multiplied on the way."""
        steps = STEPS[grid_kind(placement, self._ranges, self._scheme, self._task)]
        clips = [self._ranges[str(value.name)].clip(steps) for value in placement.operands]
        found = divisors_of(placement, clips, int8, self._scheme)
        for operand in placement.operands if found else ():
            for node in dict.fromkeys(node for node, _ in operand.uses() if (node.name or "") in int8):
                weight = constant(node.inputs[1])
                assert weight is not None  # see divisors_of
                factors = weight_factors(node, weight.shape, carried(operand, found))
                node.replace_input_with(1, self._constant(f"{node.name}_multiplied", weight * factors))
        return {name: along(divisor, placement) for name, divisor in found.items()}

    def _activation(self, value: ir.Value, grid: Grid, divisor: NDArray[np.float32] | None = None) -> ir.Value:
        name, axis = str(value.name), 1
        if divisor is not None:
            inverse = self._constant(f"{name}_inverse_divisor", (1.0 / divisor).astype(np.float32))
            value = self._node("Mul", (value, inverse), None, f"{name}_divided", ir.DataType.FLOAT, value.shape)
            name = str(value.name)
        scale = self._constant(f"{name}_scale", np.array(grid.scale, np.float32))
        zero = self._constant(f"{name}_zero", np.array(grid.zero, grid.dtype))
        dtype = ir.DataType.from_numpy(np.dtype(grid.dtype))
        levels = self._node("QuantizeLinear", (value, scale, zero), axis, f"{name}_quantized", dtype, value.shape)
        return self._node(
            "DequantizeLinear", (levels, scale, zero), axis, f"{name}_dequantized", ir.DataType.FLOAT, value.shape
        )

    def _weight(self, value: ir.Value, weight: NDArray[np.float32], axis: int | None) -> ir.Value:
        name = str(value.name) if axis is None else f"{value.name}_by{axis}"
        levels, scales = quantize_weight(weight, axis, self._scheme.weight_steps)
        inputs = (
            self._constant(f"{name}_levels", levels),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero", np.zeros(scales.shape, np.int8)),
        )
        return self._node(
            "DequantizeLinear", inputs, axis or 0, f"{name}_dequantized", ir.DataType.FLOAT, ir.Shape(weight.shape)
        )

    def _grid(self, placement: Placement) -> Grid:
        found = [self._ranges[str(value.name)] for value in placement.operands]
        kind = grid_kind(placement, self._ranges, self._scheme, self._task)
        amax = max(r.clip(STEPS[kind]).amax for r in found)
        return grid_for(kind, min(r.low for r in found), max(r.high for r in found), amax)

    def _constant(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        return add_weight(self._graph, array, name)

    def _node(
        self,
        op: str,
        inputs: tuple[ir.Value, ...],
        axis: int | None,
        name: str,
        dtype: ir.DataType,
        shape: ir.Shape | None,
    ) -> ir.Value:
        output = ir.Value(name=name, shape=shape, type=ir.TensorType(dtype))
        self._graph.append(ir.node(op, inputs, {} if axis is None else {"axis": axis}, outputs=[output], name=name))
        return output


def _at_least(model: Model, opset: int) -> Model:
    if model.opset >= opset:
        return model
    return replace(model, proto=in_opset(model.proto, opset))
