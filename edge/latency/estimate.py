"""A device's latency from its data sheet: a per-layer roofline. Always an estimate, never a measurement.

Roofline (Williams, Waterman & Patterson 2009): a layer takes at least the time its arithmetic needs at the device's
peak, and at least the time its data needs at the memory's peak; the larger of the two counts, and layers run one after
the other. Real engines reach a part of either peak, so true times are longer, often several times on small networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from edge.errors import InputError
from edge.graph.macs import node_macs, static_shapes
from edge.graph.model import MULTIPLIES, Model
from edge.latency.published import Expected, expect
from edge.notebook.shown import Shown, Table
from edge.targets.target import UNKNOWN, Target

KIND = "estimate"
# Compilers compute these in the layer before, so that they move no data of their own.
POINTWISE = frozenset(
    (
        *("Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Erf", "Elu"),
        *("Selu", "Add", "Sub", "Mul", "Div", "BatchNormalization", "Cast", "QuantizeLinear", "DequantizeLinear"),
    )
)
# Views, and concatenations, whose parts compilers write in place: nothing is computed or moved.
FREE = frozenset(
    ("Concat", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Shape", "Constant", "ConstantOfShape", "Identity")
)
# Precision asked for to that of the rest (a quantized network keeps its other layers in half).
_REST: Mapping[str, str] = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "int8": "fp16"}
_MEMORY_ONLY = "the table has no {} peak: only the time to move data counts, so the truth may be far longer"
_UNLIKE = "their networks are almost only convolutions, and here other layers take {:.3g} of the {:.3g} ms below"
_TRANSPOSED = "transposes are copies; a compiler that folds all of them into other layers needs {:.3g} ms less"
BYTES: Mapping[str, int] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}
_FACTS: Mapping[str, str] = {
    "fp32": "fp32_tflops",
    "fp16": "fp16_tflops_dense",
    "bf16": "fp16_tflops_dense",
    "int8": "int8_tops_dense",
}


@dataclass(frozen=True)
class Peaks:
    """What a device can do at best.

    Attributes:
        operations: per second (a multiply-accumulate is two), by precision; precisions without a figure are missing.
        bytes_per_second: of its memory.
        source: where the figures are from.
    """

    operations: Mapping[str, float]
    bytes_per_second: float
    source: str


@dataclass(frozen=True)
class LayerEstimate:
    """One layer at the device's peaks.

    Attributes:
        name, op: of the node.
        precision: that it is taken to run in.
        macs: multiply-accumulates.
        bytes: activations and weights in and out.
        ms: the larger of the two times.
        bound: what it waits for: compute or memory.
    """

    name: str
    op: str
    precision: str
    macs: int
    bytes: int
    ms: float
    bound: str


@dataclass(frozen=True, repr=False)
class Estimate(Shown):
    """A network at a device's peaks.

    Attributes:
        kind: always ``estimate``; these figures never stand in a measured column.
        target, precision: what was estimated.
        ms: sum over layers: no engine is expected to be faster.
        layers: in the graph's order, those that cost nothing left out.
        assumptions: one sentence each.
        source: of the peaks.
        expected: what published measurements of other networks make one expect; None where there are none of such a
            device, its table lacks a peak, or the network is unlike them.
        unlike: why nothing is expected of it although there are measurements of such a device; "" elsewhere.
    """

    kind: str
    target: str
    precision: str
    ms: float
    layers: tuple[LayerEstimate, ...]
    assumptions: tuple[str, ...]
    source: str
    expected: Expected | None = None
    unlike: str = ""

    def __repr__(self) -> str:
        return f"<Estimate {self.target} {self.precision}: at least {self.ms:.3g} ms in {len(self.layers)} layers>"

    def _table(self) -> Table:
        slowest = sorted(self.layers, key=lambda layer: -layer.ms)
        rows = [(layer.name, layer.op, layer.precision, layer.ms, layer.bound) for layer in slowest]
        return ("layer", "op", "precision", "estimated ms", "bound by"), rows

    def error(self, measured_ms: float) -> float:
        """Estimate / measurement - 1: -0.5 means that the real engine takes twice the estimate."""
        return self.ms / measured_ms - 1.0


def estimate(
    model: Model, target: Target, precision: str, peaks: Peaks | None = None, rest: str | None = None
) -> Estimate:
    """Per-layer roofline of a float graph on a target.

    Args:
        model: static shapes, batch 1; fuse it first, as an engine would.
        target: its facts are the peaks.
        precision: fp32, fp16, bf16 or int8, of convolutions and matrix products.
        peaks: instead of the target's facts (measured ones, for this machine).
        rest: precision of all other layers; None takes the precision itself, and fp16 beside int8.

    Raises:
        InputError: the target's table does not say how fast its memory is, or no such precision.
    """
    if precision not in _REST:
        raise InputError(f"--precision {precision}: there is no estimate for it; choose {', '.join(_REST)}")
    peaks = peaks or target_peaks(target)
    memory_only = () if precision in peaks.operations else (_MEMORY_ONLY.format(precision),)
    layers = tuple(_layers(model, precision, rest or _REST[precision], peaks))
    floor, expected, unlike = sum(layer.ms for layer in layers), _expected(layers, target, precision, peaks), ""
    if expected is not None and expected.ms < floor:
        others = sum(layer.ms for layer in layers if layer.op not in MULTIPLIES)
        expected, unlike = None, _UNLIKE.format(others, floor)
    moved = sum(layer.ms for layer in layers if layer.op == "Transpose")
    return Estimate(
        kind=KIND,
        target=target.name,
        precision=precision,
        ms=floor,
        layers=layers,
        assumptions=(
            "every layer reaches the device's peak arithmetic or memory rate; real engines reach a part of it",
            "activations and additions are computed in the layer before them",
            "no time for launching layers, for copies to the device, or for pre- and postprocessing",
            *([_TRANSPOSED.format(moved)] if moved else []),
            *memory_only,
        ),
        source=peaks.source,
        expected=expected,
        unlike=unlike,
    )


def _expected(layers: Sequence[LayerEstimate], target: Target, precision: str, peaks: Peaks) -> Expected | None:
    """By convolutions and matrix products alone, since those are what was counted of the published networks."""
    heavy = [layer for layer in layers if layer.op in MULTIPLIES]
    rate = peaks.operations.get(precision)
    if target.kind != "jetson" or rate is None or not sum(layer.macs for layer in heavy):
        return None
    compute = 2e3 * sum(layer.macs for layer in heavy) / rate
    memory = 1e3 * sum(layer.bytes for layer in heavy) / peaks.bytes_per_second
    return expect(compute, memory, precision, target.name)


def target_peaks(target: Target) -> Peaks:
    """A target's facts as peaks.

    Raises:
        InputError: its table does not say how fast its memory is.
    """
    bandwidth = target.fact("bandwidth_gbs")
    figures = {precision: target.fact(fact) for precision, fact in _FACTS.items()}
    known = {precision: 1e12 * float(value) for precision, value in figures.items() if value != UNKNOWN}
    if bandwidth == UNKNOWN:
        raise InputError(f"--target {target.name}: its table has no memory rate; measure on the device (edge bundle)")
    sources = [target.facts[f].source for f in ("bandwidth_gbs", *_FACTS.values()) if f in target.facts]
    return Peaks(known, 1e9 * float(bandwidth), "; ".join(dict.fromkeys(s for s in sources if s)))


def _layers(model: Model, precision: str, rest: str, peaks: Peaks) -> list[LayerEstimate]:
    proto = model.proto
    shapes = static_shapes(proto)
    weights = {tensor.name for tensor in proto.graph.initializer}
    readers: dict[str, int] = {}
    for node in proto.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    rows = []
    for node in proto.graph.node:
        if node.op_type in FREE:
            continue
        kind = precision if node.op_type in MULTIPLIES else rest
        merged = node.op_type in POINTWISE and node.input[0] not in weights and readers[node.input[0]] == 1
        elements = _elements(node, shapes, merged)
        if elements:
            rows.append(layer_estimate(node, kind, node_macs(node, shapes), elements * BYTES[kind], peaks))
    return rows


def layer_estimate(node: onnx.NodeProto, kind: str, macs: int, size: int, peaks: Peaks) -> LayerEstimate:
    """The roofline itself: the larger of a layer's time for arithmetic and its time for ``size`` bytes."""
    operations = peaks.operations.get(kind)
    compute = 2e3 * macs / operations if operations else 0.0
    memory = 1e3 * size / peaks.bytes_per_second
    bound = "compute" if compute > memory else "memory"
    return LayerEstimate(node.name or node.output[0], node.op_type, kind, macs, size, max(compute, memory), bound)


def _elements(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], merged: bool) -> int:
    """Elements read and written. A merged layer's first input never leaves the registers; its output is what the layer
    before would have written."""
    names = [*node.input[1:]] if merged else [*node.input, *node.output]
    return sum(math.prod(shapes[name]) for name in names if name and name in shapes)
