"""Which kind of grid each tensor gets in a quantized graph: from its placement, what the graph proves of it, and what
calibration saw."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from edge.graph.model import Model
from edge.quantization.graph import activations
from edge.quantization.grid import GridKind
from edge.quantization.placement import Placement, on_operands, on_sources
from edge.quantization.ranges import COARSE, FINE, Ranges
from edge.quantization.schemes import Scheme, plan_int8, tensor_facts
from edge.task.task import SegmentationTask

STEPS: Mapping[GridKind, int] = {"int8": COARSE, "uint8-128": COARSE, "uint8": FINE, "uint8-range": FINE}
"""Steps between 0 and the end of each kind of grid."""


def placements(graph: ir.Graph, int8: frozenset[str], scheme: Scheme) -> list[Placement]:
    """Where the operands of a graph's INT8 nodes are rounded.

    Args:
        graph: the float graph.
        int8: names of the nodes.
        scheme: the compiler's rules.
    """
    nodes = [node for node in graph if node.name in int8]
    operands = list({value.name: value for node in nodes for value in activations(node)}.values())
    return on_sources(operands, int8) if scheme.shared else on_operands(operands)


def grid_kind(placement: Placement, ranges: Ranges, scheme: Scheme, task: SegmentationTask) -> GridKind:
    """Kind of the grid that the tensors of a placement share.

    Raises:
        InputError: one of them was not calibrated.
    """
    found = [ranges[str(value.name)] for value in placement.operands]
    return scheme.grid(tensor_facts((*placement.operands, *placement.sources), found, task))


def steps_in_use(model: Model, ranges: Ranges, scheme: Scheme) -> dict[str, int]:
    """Steps of the grid of each tensor that INT8 nodes read, where all that may be are in INT8.

    Args:
        model: the float graph.
        ranges: extremes of its tensors.
        scheme: the compiler's rules.
    """
    found = placements(model.to_ir().graph, plan_int8(model, scheme).int8, scheme)
    return {
        str(value.name): STEPS[grid_kind(placement, ranges, scheme, model.task)]
        for placement in found
        for value in placement.operands
    }
