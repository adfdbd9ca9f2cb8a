"""Which clip serves a tensor best, measured where it matters: at the outputs of the nodes that read it.

The tensor's own rounding error is a poor judge: outliers that a least-squares clip gives up may carry the signal. So
each proposal is written into a copy of the graph as Q/DQ in front of a second copy of each consumer, and the graph
itself sums the squared error of that consumer's output. Only those sums leave ONNX Runtime.

Error of a convolution's output is averaged over neighbours first (:data:`NEIGHBOURS`). Where neighbours err alike, as
all pixels of a background do whose value lies between two levels, it reaches the network's output; where they err
against each other, later convolutions take it away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge.backends.onnxruntime import Intermediates
from edge.graph.macs import static_shapes
from edge.graph.model import MULTIPLIES, Model
from edge.quantization.grid import Grid, grid_for

NEIGHBOURS = 8
"""Side of the squares of a convolution's output whose errors are averaged, in elements."""

_SAME = 0.03  # proposals closer than this are one
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_PREFIX = "segedge_trial"


@dataclass(frozen=True)
class Trial:
    """Proposals for one tensor on one kind of grid.

    Attributes:
        tensor: its name.
        steps: 127 for a signed grid, 255 for an unsigned one over the tensor's own range.
        low, high: extremes seen.
        proposals: method to magnitude, in order of preference among equals.
    """

    tensor: str
    steps: int
    low: float
    high: float
    proposals: Mapping[str, float]

    def distinct(self) -> dict[str, float]:
        """Proposals without near-duplicates, the first of equals kept."""
        kept: dict[str, float] = {}
        for method, amax in self.proposals.items():
            if all(abs(amax - other) > _SAME * other for other in kept.values()):
                kept[method] = amax
        return kept

    def grid(self, amax: float) -> Grid:
        """The grid that a proposal comes to."""
        return grid_for("int8" if self.steps <= 127 else "uint8-range", self.low, self.high, amax)


def best_clips(model: Model, trials: Sequence[Trial], images: Sequence[NDArray[np.float32]]) -> list[str]:
    """Method of least relative error for each trial, in order; the first proposal where nothing reads the tensor.

    Args:
        model: float graph.
        trials: a tensor may occur once for each kind of grid.
        images: ``[1, channels, height, width]`` float32 each.
    """
    proto, scores, areas = _trial_graph(model, trials)
    totals: list[dict[str, float]] = [dict.fromkeys(trial.distinct(), 0.0) for trial in trials]
    if scores:
        probe = Intermediates(Model(proto, model.task, model.name), list(scores))
        for image in images:
            for name, value in probe.run(image).items():
                index, method = scores[name]
                totals[index][method] += float(value.reshape(-1)[0]) * areas[name]
    return [min(total, key=total.__getitem__) for total in totals]


def _trial_graph(
    model: Model, trials: Sequence[Trial]
) -> tuple[onnx.ModelProto, dict[str, tuple[int, str]], dict[str, int]]:
    """The graph with all trials in it, and score name to index of its trial and method, and to its squares' area.

    A sum over squares has as many terms fewer as a square has elements; times their area, the scores of readers whose
    squares differ in size are shares of their own outputs' power alike.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.proto.graph.node:
        if node.op_type in MULTIPLIES:
            for name in dict.fromkeys(node.input[:2]):
                readers.setdefault(name, []).append(node)
    shapes = static_shapes(model.proto)
    scores: dict[str, tuple[int, str]] = {}
    areas: dict[str, int] = {}
    for index, trial in enumerate(trials):
        for method, amax in trial.distinct().items():
            stem = f"{_PREFIX}_{index}_{method}"
            readers_here = readers.get(trial.tensor, [])
            if readers_here:
                _add_rounding(proto.graph, stem, trial.tensor, trial.grid(amax))
            for number, node in enumerate(readers_here):
                score = f"{stem}_{number}"
                square = _square(node, shapes.get(node.output[0], ()))
                _add_score(proto.graph, score, node, trial.tensor, stem, square)
                scores[score], areas[score] = (index, method), math.prod(square)
    return proto, scores, areas


def _add_rounding(graph: onnx.GraphProto, stem: str, tensor: str, grid: Grid) -> None:
    """``stem`` is ``tensor`` rounded to the grid."""
    scale, zero, levels = f"{stem}_scale", f"{stem}_zero", f"{stem}_levels"
    graph.initializer.append(numpy_helper.from_array(np.array(grid.scale, np.float32), scale))
    graph.initializer.append(numpy_helper.from_array(np.array(grid.zero, grid.dtype), zero))
    graph.node.append(helper.make_node("QuantizeLinear", [tensor, scale, zero], [levels]))
    graph.node.append(helper.make_node("DequantizeLinear", [levels, scale, zero], [stem]))


def _square(node: onnx.NodeProto, shape: Sequence[int]) -> list[int]:
    """Sides of the squares over which a node's output errors are averaged; none where it is no convolution's."""
    return [min(NEIGHBOURS, side) for side in shape[2:]] if node.op_type in _CONVOLUTIONS else []


def _add_score(
    graph: onnx.GraphProto, score: str, node: onnx.NodeProto, tensor: str, rounded: str, square: Sequence[int]
) -> None:
    """``score`` is the squared error of a node's output, over its squared sum, when it reads ``rounded``."""
    names = {part: f"{score}_{part}" for part in ("output", "error", "noise", "power")}
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    twin.name = f"{score}_twin"
    twin.input[:] = [rounded if name == tensor else name for name in node.input]
    twin.output[:] = [names["output"]]
    graph.node.append(twin)
    error = names["error"]
    graph.node.append(helper.make_node("Sub", [names["output"], node.output[0]], [error]))
    if square:
        error = f"{score}_mean"
        graph.node.append(
            helper.make_node("AveragePool", [names["error"]], [error], kernel_shape=square, strides=square, ceil_mode=1)
        )
    graph.node.append(helper.make_node("ReduceSumSquare", [error], [names["noise"]], keepdims=0))
    graph.node.append(helper.make_node("ReduceSumSquare", [node.output[0]], [names["power"]], keepdims=0))
    graph.node.append(helper.make_node("Div", [names["noise"], names["power"]], [score]))
