"""Each compiler's rules for INT8, as tables. A new compiler is a new row, not new code.

``openvino``
    Unsigned where the graph proves that a tensor is never negative (one bit more, and the fast path). Unsigned over
    the tensor's own range where that is lopsided, as after GELU or SiLU (4 dB on LiteNeXt, no slower), but not in
    front of ConvTranspose, which runs in float for any zero point but 0. Beside a Concat the signed grid as unsigned
    with zero point 128, because OpenVINO's CPU plugin computes wrong numbers for signed Q/DQ around a Concat (10 dB
    where the same grid as u8/128 gives 70, in 2025.0 to 2026.4). Signed elsewhere. Rounding goes before Concat and
    MaxPool, so that both run on 8 bits.
``openvino-identical``
    The signed grid level by level, so bit-comparable with TensorRT, in the form that OpenVINO gets right.
``openvino-avx2``
    As ``openvino``, weights in 7 bits: without VNNI, x86 adds two products of 8 bits in 16 (``vpmaddubsw``), where two
    of 255 * 127 saturate without a word and two of 255 * 63 do not (parity of a small network: 27 and 146 dB).
``tensorrt``
    Signed with zero point 0 everywhere: TensorRT takes no other. Its builder keeps ConvTranspose in float whatever the
    graph says, so Q/DQ there would only add casts. Convolutions of few channels and grouped ones stay float, as
    NVIDIA's own post-training quantization leaves them (Model-Optimizer, ``onnx/quantization/graph_utils.py``). A
    Concat has one scale, since the pair stands behind it. The residual operand of an Add whose other branch is an
    INT8 convolution gets a pair too, so that the Add fuses into that convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from edge.errors import InputError
from edge.graph.model import Model
from edge.quantization.graph import NodeFacts, is_beside_concat, is_nonnegative, node_facts
from edge.quantization.grid import WEIGHT_STEPS, GridKind
from edge.quantization.plan import FLOAT, INT8, PrecisionPlan
from edge.quantization.ranges import TensorRange
from edge.task.task import SegmentationTask


@dataclass(frozen=True)
class TensorFacts:
    """What decides a tensor's grid: what the graph proves, and what calibration saw.

    Attributes:
        nonnegative: no input of the task can make it negative, and no input that calibration saw did.
        beside_concat: a Concat makes or reads it.
        transposed: a ConvTranspose reads it.
        lopsided: one side of its range is under a quarter of the other, so a signed grid would waste a bit.
    """

    nonnegative: bool
    beside_concat: bool
    transposed: bool
    lopsided: bool


@dataclass(frozen=True)
class FloatRule:
    """Nodes that stay float, with the phrase a report gives as the reason."""

    op_types: tuple[str, ...]
    when: Callable[[NodeFacts], bool]
    reason: str


@dataclass(frozen=True)
class GridRule:
    """Tensors that get a kind of grid."""

    when: Callable[[TensorFacts], bool]
    grid: GridKind


@dataclass(frozen=True)
class Scheme:
    """One compiler's rules.

    Attributes:
        name: as in :data:`SCHEMES`.
        weight_axes: operator that may run in INT8 to its weight's axis of output channels (None: one scale).
        floats: the first that matches leaves the node float.
        grids: the first that matches decides the grid; the last matches everything.
        shared: tensors that meet in a Concat share a grid, and rounding goes before it, see
            :mod:`edge.quantization.placement`.
        residuals: whether the skip operand of an Add gets a pair where the other branch is an INT8 convolution.
        weight_steps: largest level of a weight.
        scales_in_rounding: whether rounding divides each channel by its own number in passing; else only a point-wise
            function before it does, see :mod:`edge.quantization.divide`.
        note: a sentence for the report about what this compiler's rules cost; "" for none.
    """

    name: str
    weight_axes: Mapping[str, int | None]
    floats: tuple[FloatRule, ...]
    grids: tuple[GridRule, ...]
    shared: bool = False
    residuals: bool = False
    weight_steps: int = WEIGHT_STEPS
    scales_in_rounding: bool = True
    note: str = ""

    def reason(self, facts: NodeFacts) -> str | None:
        """Why a node stays float, None if it may run in INT8."""
        return next((r.reason for r in self.floats if facts.op in r.op_types and r.when(facts)), None)

    def grid(self, facts: TensorFacts) -> GridKind:
        """Kind of grid for a tensor."""
        return next(rule.grid for rule in self.grids if rule.when(facts))


def always(_: object) -> bool:
    """Matches everything."""
    return True


def _is_narrow(node: NodeFacts) -> bool:
    counts = (node.in_channels, node.out_channels)
    return min(counts) < 16 and all(count % 8 for count in counts)


_AXES: Mapping[str, int | None] = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": 1}
_ALL = tuple(_AXES)

_COMPUTED_KERNEL = FloatRule(
    ("Conv", "ConvTranspose"), lambda n: not n.constant, "its kernel is computed, so it has no fixed scale"
)
_COMPUTED_SECOND = FloatRule(("MatMul", "Gemm"), lambda n: not n.constant, "both operands are computed (attention)")
_WEIGHT_FIRST = FloatRule(("MatMul", "Gemm"), lambda n: n.weight_first, "its weight is the left operand")

# Behind a global pooling the few values of a vector lie orders of magnitude apart, so one grid drowns most of them
# (21.7 dB with, 45.0 dB without on LiteNeXt), for arithmetic that takes no time.
_ONE_ROW = FloatRule(_ALL, lambda n: n.rows == 1, "one row: it waits for memory, not for arithmetic")

# The variance of a layer norm as a convolution: its square root divides every value, so an error of small squares is an
# error of the whole signal (28 dB with, 45 dB without on LiteNeXt).
_SQUARES = FloatRule(_ALL, lambda n: n.squares, "it averages squares (a variance), which one grid cannot hold")

# An upsampling of the maps, written as a convolution of each map by itself: what it rounds are the logits (half of
# the noise on LANet: 36.4 dB by itself), for arithmetic that takes no time.
_MAPS = FloatRule(
    ("Conv", "ConvTranspose"),
    lambda n: n.last and n.in_channels == n.groups,
    "it resizes the maps, so that it would round the logits",
)

# An upsampling inside the network, written as a convolution of each channel by itself: as a Resize it rounds nothing,
# and rounding for it costs decibels (engines of LightAWNet in INT8 over BF16: 40.6 dB with, 42.9 dB without).
_BLENDING = FloatRule(
    ("Conv",), lambda n: n.in_channels == n.groups and n.blends, "it interpolates each channel, as a float resize does"
)

# A kernel of one weight for one channel scales it. OpenVINO makes it a Multiply and moves the scale of its INT8 input
# past a normalisation behind it, whose epsilon stays what it was: 130 dB in the graph, 48 dB in the engine
# (2026.4; UNETR's skip of a grey image).
_SCALING = FloatRule(
    ("Conv", "ConvTranspose"),
    lambda n: n.in_channels == n.groups and n.kernel != () and max(n.kernel) == 1,
    "it scales channels: it waits for memory, not for arithmetic",
)

# A resize written as products with its weights, or a linear layer along rows: OpenVINO takes the scales of the columns
# for those of channels and moves them past what pools or resizes the map: MaxPool and a nearest Resize are refused,
# AveragePool gives other numbers (2 dB; 2026.4).
_COLUMNS = FloatRule(("MatMul",), lambda n: n.columns, "it mixes the columns of a map, taken for channels by OpenVINO")

_SIGNED = (GridRule(always, "int8"),)

_OPENVINO = Scheme(
    name="openvino",
    weight_axes=_AXES,
    floats=(
        _COMPUTED_KERNEL,
        _WEIGHT_FIRST,
        _COMPUTED_SECOND,
        _ONE_ROW,
        _SQUARES,
        _SCALING,
        _MAPS,
        _BLENDING,
        _COLUMNS,
    ),
    grids=(
        GridRule(lambda t: t.nonnegative, "uint8"),
        GridRule(lambda t: t.transposed and not t.beside_concat, "int8"),
        GridRule(lambda t: t.lopsided, "uint8-range"),
        GridRule(lambda t: t.beside_concat, "uint8-128"),
        GridRule(always, "int8"),
    ),
    shared=True,
)

_SCHEMES = (
    _OPENVINO,
    replace(
        _OPENVINO,
        name="openvino-avx2",
        weight_steps=63,
        note="This CPU adds products of 8 bits in 16 (no VNNI), so INT8 weights have 7 bits",
    ),
    replace(
        _OPENVINO,
        name="openvino-identical",
        grids=(GridRule(lambda t: t.beside_concat, "uint8-128"), *_SIGNED),
        shared=False,
    ),
    Scheme(
        name="tensorrt",
        weight_axes=_AXES,
        floats=(
            _COMPUTED_KERNEL,
            _WEIGHT_FIRST,
            _COMPUTED_SECOND,
            FloatRule(("ConvTranspose",), always, "TensorRT keeps ConvTranspose float"),
            FloatRule(("Conv",), lambda n: n.depthwise, "depthwise gains nothing from INT8 on tensor cores"),
            FloatRule(("Conv",), lambda n: n.groups > 1, "grouped convolution has no INT8 tensor-core kernel"),
            FloatRule(
                ("Conv",), lambda n: n.in_channels < 4, "fewer than 4 input channels: no INT8 tensor-core kernel"
            ),
            FloatRule(("Conv",), _is_narrow, "fewer than 16 channels, and no multiple of 8 to fill a tensor core"),
            _ONE_ROW,
            _SQUARES,
            _MAPS,
        ),
        grids=_SIGNED,
        residuals=True,
        scales_in_rounding=False,
    ),
)

SCHEMES: Mapping[str, Scheme] = {scheme.name: scheme for scheme in _SCHEMES}


# They add products of 8 bits in 32.
_DOT_PRODUCTS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})


def find_scheme(name: str) -> Scheme:
    """One scheme by name.

    Raises:
        InputError: unknown.
    """
    if name not in SCHEMES:
        raise InputError(f"scheme {name!r} is unknown; known are {', '.join(SCHEMES)}")
    return SCHEMES[name]


def openvino_scheme(architecture: str, isa: Collection[str]) -> Scheme:
    """OpenVINO's rules on one CPU.

    Args:
        architecture: ``x86_64``, ``aarch64``.
        isa: its instruction sets, as :attr:`edge.machine.machine.Machine.isa` has them.
    """
    saturates = architecture == "x86_64" and not _DOT_PRODUCTS.intersection(isa)
    return SCHEMES["openvino-avx2" if saturates else "openvino"]


def plan_int8(model: Model, scheme: Scheme) -> PrecisionPlan:
    """INT8 for every node the scheme allows it for."""
    nodes, reasons = {}, {}
    for node in model.to_ir().graph:
        if node.op_type in scheme.weight_axes:
            facts = node_facts(node)
            reason = scheme.reason(facts)
            nodes[facts.name] = INT8 if reason is None else FLOAT
            if reason is not None:
                reasons[facts.name] = reason
    return PrecisionPlan(nodes, reasons)


def tensor_facts(values: Sequence[ir.Value], found: Sequence[TensorRange], task: SegmentationTask) -> TensorFacts:
    """The facts of tensors that share a grid.

    Args:
        values: the tensors.
        found: what calibration saw of them.
        task: says whether the image itself can be negative.
    """
    low, high = min(0.0, *(r.low for r in found)), max(0.0, *(r.high for r in found))
    return TensorFacts(
        nonnegative=low >= 0 and all(is_nonnegative(value, task) for value in values),
        beside_concat=any(is_beside_concat(value) for value in values),
        transposed=any(node.op_type == "ConvTranspose" for value in values for node, _ in value.uses()),
        lopsided=min(-low, high) < 0.25 * max(-low, high),
    )
