"""Dialects: how one graph is written for the compiler that will read it, in float and in INT8.

=============  ==========================================  ====================================================
compiler       FP16                                        INT8 with FP16 for the rest
=============  ==========================================  ====================================================
OpenVINO       the FP32 graph and a hint                   the FP32 graph with Q/DQ and a hint
on ARM         the FP32 graph and a hint                   none: ONNX Runtime, with FP32 for the rest
TensorRT 8.x   FP32 graph of opset 17 and the FP16 flag    FP32 graph with FP32 scales and both flags
TensorRT 10+   casts in the graph, strongly typed          FP16 tensors and scales, opset 19 or newer
=============  ==========================================  ====================================================

No one file serves every TensorRT: 8.x reads the bytes of a scale as FP32, and from 10 on a dequantize node makes what
its scale is typed as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate
from edge.graph.model import Model
from edge.graph.wide import mark_wide
from edge.lowering import find_parser, lower, require_supported
from edge.quantization.bias import correct_biases
from edge.quantization.half import computed_wide, stays_float, to_half
from edge.quantization.half_range import beyond_half, over_lowered
from edge.quantization.half_steps import in_half_steps
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES, Scheme
from edge.quantization.write import quantize

Shifts = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class GraphRequest:
    """What a graph is written from.

    Attributes:
        name, precision, rest: see :class:`~edge.backends.engine.Candidate`.
        model: the float graph that was calibrated.
        ranges: of its tensors.
        plan: which nodes run in INT8; None for none.
        shifts: corrections of biases, by node.
    """

    name: str
    precision: str
    rest: str
    model: Model
    ranges: Ranges
    plan: PrecisionPlan | None = None
    shifts: Shifts | None = None

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each node that the plan leaves float is."""
        return self.plan.reasons if self.plan else {}


class Dialect(Protocol):
    """How graphs are written for one compiler."""

    @property
    def scheme(self) -> Scheme:
        """The compiler's rules for INT8."""
        ...

    @property
    def rest(self) -> str:
        """Float precision around INT8 where the user names none."""
        ...

    @property
    def floats_by_ranges(self) -> bool:
        """Whether float graphs, too, depend on calibrated ranges."""
        ...

    def under_int8(self, rests: Sequence[str]) -> tuple[str, ...]:
        """Of these float precisions, those that INT8 can be put over."""
        ...

    def searched(self, rests: Sequence[str]) -> tuple[str, ...]:
        """Of these float precisions, those worth searching INT8 over."""
        ...

    def write(self, asked: GraphRequest) -> Candidate:
        """A graph ready for the compiler.

        Raises:
            InputError: the compiler cannot read any form of the graph.
        """
        ...


class _Quantizer:
    """Writes Q/DQ graphs, the last of them remembered: each plan is asked for once per float precision."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self._last: tuple[Model, PrecisionPlan, Model] | None = None

    def graph(self, asked: GraphRequest) -> Model:
        """The FP32 graph, with Q/DQ where the plan says INT8."""
        model, plan = asked.model, asked.plan
        if plan is None:
            return model
        if self._last is None or self._last[0] is not model or self._last[1] != plan:
            graph = quantize(model, asked.ranges, plan, self.scheme)
            self._last = (model, plan, correct_biases(graph, asked.shifts) if asked.shifts else graph)
        return self._last[2]


class PlainDialect:
    """The FP32 graph itself, with Q/DQ where it is quantized: the compiler takes the rest's precision as a hint.

    Args:
        scheme: rules for INT8.
        rest: see :class:`Dialect`.
    """

    floats_by_ranges = False

    def __init__(self, scheme: Scheme, rest: str = "fp32") -> None:
        self.scheme, self.rest = scheme, rest
        self._quantizer = _Quantizer(scheme)

    def under_int8(self, rests: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(rests)

    def searched(self, rests: Sequence[str]) -> tuple[str, ...]:
        """All of them: which is fastest depends on the CPU."""
        return tuple(rests)

    def write(self, asked: GraphRequest) -> Candidate:
        """See :meth:`Dialect.write`."""
        return Candidate(asked.name, asked.precision, asked.rest, self._quantizer.graph(asked), asked.reasons)


class ArmDialect(PlainDialect):
    """The same, where INT8 is ONNX Runtime's: it computes FP16 in FP32, so INT8 goes over FP32 alone.

    Args:
        scheme: rules for INT8.
    """

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme, "fp32")

    def under_int8(self, rests: Sequence[str]) -> tuple[str, ...]:
        """FP32, whatever was asked for."""
        return ("fp32",)


class TensorRtDialect:
    """Graphs that one TensorRT takes.

    Args:
        tensorrt: version, such as ``8.5.2`` or ``10.16``.
    """

    rest = "fp16"
    floats_by_ranges = True

    def __init__(self, tensorrt: str) -> None:
        self.scheme = SCHEMES["tensorrt"]
        self.tensorrt = tensorrt
        self._quantizer = _Quantizer(self.scheme)
        self._last: tuple[Model, Model] | None = None

    def under_int8(self, rests: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(rests)

    def searched(self, rests: Sequence[str]) -> tuple[str, ...]:
        """FP16 where it is there: on these GPUs it is never slower than FP32, and nearly as exact."""
        return ("fp16",) if "fp16" in rests else tuple(rests)[:1]

    def write(self, asked: GraphRequest) -> Candidate:
        """See :meth:`Dialect.write`."""
        source = self._quantizer.graph(asked)
        lowered = self._lowered(source)
        written = Candidate(asked.name, asked.precision, asked.rest, lowered, asked.reasons, source=source)
        if asked.rest != "fp16":
            return written
        wide = beyond_half(asked.model, asked.ranges)
        kept = over_lowered(wide, lowered)
        if not find_parser(self.tensorrt).typed:  # flags decide, but for what would overflow
            half = to_half(source, wide)
            held = computed_wide(lowered, kept)
            return replace(
                written,
                model=mark_wide(lowered, held),
                reasons={**asked.reasons, **held},
                simulation=in_half_steps(half),
                typed=half,
            )
        cast = to_half(lowered, kept)
        require_supported(cast, self.tensorrt)
        steps = in_half_steps(cast)
        reasons = {**asked.reasons, **stays_float(lowered, kept)}
        return replace(written, model=cast, reasons=reasons, simulation=None if steps is cast else steps)

    def _lowered(self, source: Model) -> Model:
        if self._last is None or self._last[0] is not source:
            self._last = (source, lower(source, self.tensorrt))
        return self._last[1]
