"""Candidate graphs for a TensorRT target: one calibration, each graph written for the parser that will read it.

=============  ==========================================  ====================================================
TensorRT       FP16                                        INT8 with FP16 for the rest
=============  ==========================================  ====================================================
8.5, 8.6       FP32 graph of opset 17 and the FP16 flag    FP32 graph with FP32 scales and both flags (A)
10, 11         casts in the graph, strongly typed          FP16 tensors and scales, opset 19 or newer (B)
=============  ==========================================  ====================================================

No one file serves both: 8.x reads the bytes of a scale as FP32, and from 10 on a dequantize node makes what its scale
is typed as.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.backends.engine import Candidate
from edge.errors import InputError
from edge.graph.model import Model
from edge.lowering import find_parser, lower, require_supported
from edge.quantization.half import stays_float, to_half
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import Target

# TensorRT for RTX reads what the enterprise parser of its time reads.
RTX_PARSER = "10.16"
NEWEST = "11.4"
_HALF_OF_RANGE = 32752.0  # a tensor that came this near to FP16's end on a few images may pass it on the next


def candidates(
    model: Model, ranges: Ranges, target: Target, jetpack: str | None = None, plan: PrecisionPlan | None = None
) -> tuple[Candidate, ...]:
    """FP32, FP16, INT8 and INT8 with FP16 for the rest, as graphs that the target's TensorRT takes.

    Args:
        model: the fused FP32 graph that was calibrated, opset 19 or newer where FP16 scales are wanted.
        ranges: of its tensors.
        target: with a TensorRT backend.
        jetpack: release on the device; None takes the target's default.
        plan: which nodes run in INT8; None takes all that TensorRT's rules allow.

    Raises:
        InputError: a JetPack that the target does not run, or a graph that its TensorRT does not take.
    """
    tensorrt, wide, scheme = tensorrt_version(target, jetpack), beyond_half(model, ranges), SCHEMES["tensorrt"]
    plan = plan or plan_int8(model, scheme)
    quantized = quantize(model, ranges, plan, scheme)
    return (
        *_over_each_rest(model, {}, (("fp32", "fp32"), ("fp16", "fp16")), tensorrt, wide),
        *_over_each_rest(quantized, plan.reasons, (("int8", "int8"), ("int8-fp16", "int8")), tensorrt, wide),
    )


def planned(
    model: Model, ranges: Ranges, target: Target, jetpack: str | None, plan: PrecisionPlan, rest: str, name: str
) -> Candidate:
    """The graph of one plan of a search, over one float precision, fp32 or fp16; see :func:`candidates`."""
    tensorrt, wide = tensorrt_version(target, jetpack), beyond_half(model, ranges)
    quantized = quantize(model, ranges, plan, SCHEMES["tensorrt"])
    return _over_each_rest(quantized, plan.reasons, ((name, "mixed"), (name, "mixed")), tensorrt, wide)[rest == "fp16"]


def _over_each_rest(
    source: Model,
    reasons: Mapping[str, str],
    named: tuple[tuple[str, str], tuple[str, str]],
    tensorrt: str,
    wide: frozenset[str],
) -> tuple[Candidate, Candidate]:
    """One graph over FP32 and over FP16, each with its name and precision."""
    lowered = lower(source, tensorrt)
    (name, precision), (half_name, half_precision) = named
    full = Candidate(name, precision, "fp32", lowered, reasons)
    if not find_parser(tensorrt).typed:
        simulation = to_half(source, wide)
        return full, Candidate(half_name, half_precision, "fp16", lowered, reasons, simulation=simulation)
    cast = to_half(lowered, wide)
    require_supported(cast, tensorrt)
    why = {**reasons, **stays_float(lowered, wide)}
    return full, Candidate(half_name, half_precision, "fp16", cast, why)


def simulated(candidate: Candidate) -> Model:
    """The graph whose outputs in ONNX Runtime stand for the engine's: the candidate's own unless flags decide.

    With the FP16 flag the builder chooses FP16 layer by layer by time; the simulation assumes FP16 everywhere.
    """
    return candidate.simulation or candidate.model


def tensorrt_version(target: Target, jetpack: str | None = None) -> str:
    """The TensorRT that a target will build with.

    Raises:
        InputError: a JetPack that the target does not run, or one for a target that is no Jetson.
    """
    if target.jetpacks:
        return target.find_jetpack(jetpack).tensorrt
    if jetpack is not None:
        raise InputError(f"--jetpack {jetpack}: {target.name} is not a Jetson; leave it out")
    return RTX_PARSER if target.backend == "tensorrt_rtx" else NEWEST


def beyond_half(model: Model, ranges: Ranges) -> frozenset[str]:
    """Names of the nodes that make or read tensors whose calibrated range comes near the end of FP16's."""
    wide = {name for name, found in ranges.tensors.items() if max(-found.low, found.high) > _HALF_OF_RANGE}
    nodes = model.proto.graph.node
    return frozenset(node.name for node in nodes if wide & {*node.input, *node.output})
