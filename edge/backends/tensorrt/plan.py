"""What a compiled TensorRT plan says about itself: version and the precision of its convolutions.

Two sources, both parsed defensively, since neither is a documented interface:

* **Plans of TensorRT for RTX** built with ``profiling_verbosity=DETAILED`` hold a readable program: every tensor with
  its type, every operation with the tensors it reads and the ONNX nodes it came from. No GPU is needed to read it.
* **The engine inspector's JSON** of full TensorRT, before 11 with ``Format/Datatype`` in one string, from 11 on apart.

Whatever is not recognised counts as ``unknown``; nothing here ever fails on a plan's text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Iterable

INT8, FP16, BF16, FP32, UNKNOWN = "int8", "fp16", "bf16", "fp32", "unknown"
_TYPES = {
    "int8": INT8, "half": FP16, "fp16": FP16, "float16": FP16, "bf16": BF16, "bfloat16": BF16, "bfloat": BF16,
    "float": FP32, "fp32": FP32, "float32": FP32,
}  # fmt: skip
_CONVOLUTIONS = {"corrltn": "conv", "deconvolution": "deconv"}
_KINDS = dict(_CONVOLUTIONS, fully_connected="matmul", maxpool="pool", avgpool="pool", function="kernel")
_FUSION = "runtime_fusion"
_TENSOR = re.compile(r"\n  (?:sub_)?tensor=\{ ([^\n]*)\}")
_STEP = re.compile(r'\n  ([a-z_]+)=\{ name="?([^\s"]*)"?')
_TYPE, _NAME = re.compile(r"\btype=(\w+)"), re.compile(r'\bname="([^"]*)"')
_INPUTS, _QUOTED = re.compile(r"\binput(?:_args)?=\{([^}]*)\}"), re.compile(r'"([^"]*)"')
_LABEL = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_STEP_CHARS = 20000  # longest step that is looked at; real ones have a few hundred characters


@dataclass(frozen=True)
class PlanLayer:
    """One operation of a plan.

    Attributes:
        name: the compiler's.
        op: conv, deconv, matmul, pool, kernel, or the compiler's own word.
        precision: of its arithmetic: int8, fp16, bf16, fp32 or unknown.
        nodes: ONNX nodes it came from.
        kernel: ONNX nodes computed by the same kernel, where that is told.
    """

    name: str
    op: str
    precision: str
    nodes: tuple[str, ...]
    kernel: tuple[str, ...] = ()


def plan_version(plan: bytes) -> str | None:
    """The TensorRT version that built a plan, None where the header is not understood (never a proof of a mismatch)."""
    if len(plan) < 28 or plan[:4] != b"ftrt" or plan[4:8] != b"\0\0\0\0":
        return None
    version = tuple(plan[24:28])
    return ".".join(str(part) for part in version) if version[0] >= 8 else None


def rtx_layers(plan: bytes) -> tuple[PlanLayer, ...]:
    """Operations of a plan of TensorRT for RTX, in order; empty where its text is not understood."""
    text = plan.decode("latin-1")
    types = {}
    for found in _TENSOR.finditer(text):
        name, kind = _NAME.search(found.group(1)), _TYPE.search(found.group(1))
        if name and kind:
            types[name.group(1)] = kind.group(1)
    if not types:
        return ()
    starts = list(_STEP.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    steps = [(s.group(1), s.group(2), text[s.start() : min(e, s.start() + _STEP_CHARS)]) for s, e in zip(starts, ends)]
    fused = [_nodes(body) for kind, _, body in steps if kind == _FUSION]
    return tuple(_rtx_layer(kind, name, body, types, fused) for kind, name, body in steps if kind in _KINDS)


def _nodes(body: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_LABEL.findall(body)))


def _rtx_layer(kind: str, name: str, body: str, types: dict[str, str], fused: list[tuple[str, ...]]) -> PlanLayer:
    nodes = _nodes(body)
    inputs = _INPUTS.search(body)
    operands = _QUOTED.findall(inputs.group(1)) if inputs else []
    weighted = kind in _CONVOLUTIONS or kind == "fully_connected"
    if weighted:  # data and weight; what follows are scale and bias
        operands = operands[:2]
    # They must agree; anything else is not ours to interpret.
    found = {_TYPES.get(types.get(operand, ""), UNKNOWN) for operand in operands}
    precision = found.pop() if len(found) == 1 and (not weighted or len(operands) == 2) else UNKNOWN
    around = (other for other in fused if nodes and set(nodes) <= set(other))  # a part of what was fused is told apart
    return PlanLayer(name, _KINDS[kind], precision, nodes, next(around, nodes))


def inspector_layers(document: str) -> tuple[PlanLayer, ...]:
    """Layers of the engine inspector's JSON (8.5 to 11); empty where it is not understood."""
    try:
        table = json.loads(document)
    except ValueError:
        return ()
    rows = table.get("Layers") if isinstance(table, dict) else None
    if not isinstance(rows, list):
        return ()
    return tuple(_inspector_layer(row) for row in rows)


def _inspector_layer(row: Any) -> PlanLayer:
    if not isinstance(row, dict):  # names only: the engine was built without detail
        return PlanLayer(str(row), "layer", UNKNOWN, ())
    name, kind = str(row.get("Name", "")), str(row.get("ParameterType") or row.get("LayerType") or "layer")
    nodes = tuple(dict.fromkeys(_LABEL.findall(str(row.get("Metadata", "")))))
    op = {"Convolution": "conv", "CaskConvolution": "conv", "Deconvolution": "deconv", "CaskDeconvolution": "deconv"}
    return PlanLayer(name, op.get(kind, kind.lower()), _inspector_precision(row), nodes)


def _inspector_precision(row: dict[str, Any]) -> str:
    weights = row.get("Weights")
    if isinstance(weights, dict) and _TYPES.get(str(weights.get("Type", "")).lower()):
        return _TYPES[str(weights["Type"]).lower()]
    inputs = row.get("Inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    if not isinstance(first, dict):
        return UNKNOWN
    words = "{} {}".format(first.get("Datatype", ""), first.get("Format/Datatype", ""))
    return next((_TYPES[word] for word in re.findall(r"[a-z]+\d*", words.lower()) if word in _TYPES), UNKNOWN)


def convolution_precisions(layers: Iterable[PlanLayer], nodes: Iterable[str]) -> dict[str, str]:
    """The precision of each convolution of the graph, as the plan has it.

    Args:
        layers: of the plan.
        nodes: names of the graph's Conv and ConvTranspose nodes.

    Returns:
        Node name to precision; ``unknown`` where no operation of the plan names the node.
    """
    products: dict[str, list[str]] = {}
    kernels: dict[str, list[str]] = {}
    for layer in layers:
        found = products if layer.op in ("conv", "deconv", "matmul") else kernels
        for name in {layer.name, *layer.nodes}:
            found.setdefault(name, []).append(layer.precision)
    # A small convolution may be fused into an element-wise kernel; one that was split runs in what its parts share.
    return {node: _shared(products.get(node) or kernels.get(node, [])) for node in nodes}


def count_precisions(precisions: Iterable[str]) -> dict[str, int]:
    """How many of each precision; every key is there."""
    counts = dict.fromkeys((INT8, FP16, BF16, FP32, UNKNOWN), 0)
    for precision in precisions:
        counts[precision] += 1
    return counts


def _shared(precisions: list[str]) -> str:
    return precisions[0] if precisions and len(set(precisions)) == 1 else UNKNOWN
