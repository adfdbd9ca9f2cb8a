"""Operators of ONNX Runtime's own become standard ones: what its optimizer leaves in a graph that it saved.

::

    x ─ FusedConv(w, b, z; Relu) ─ y
    x ─ Conv(w, b) ─ Add z ─ Relu ─ y

A saved graph holds them from ORT_ENABLE_EXTENDED on; onnxsim and ``onnxruntime.transformers`` write them too. No other
compiler fuses, quantizes or takes them all. ``LayerNormalization`` stands in such graphs before the operator set that
has it: those are raised first.
"""

from __future__ import annotations

from collections import Counter

import onnx
import onnx_ir as ir

from edge.graph.model import opset
from edge.graph.names import with_names
from edge.graph.native import with_shapes
from edge.loading.normalize.float_types import other_floats
from edge.loading.normalize.operator_set import EARLY, OLDEST, WORKING, raised
from edge.loading.normalize.runtime_expansions import EXPANSIONS, Left, Site
from edge.loading.normalize.step import Change, Draft, Step

_TOLERANCE = 1e-4  # sums in another order, and the library's approximations of tanh and erf beside the exact ones


def _apply(draft: Draft) -> Change | None:
    # Constants are written as float32, so a half-precision graph waits until it is computed in that.
    waits = bool(other_floats(draft.proto))
    found = [] if waits else [n for n in draft.proto.graph.node if (n.domain, n.op_type) in EXPANSIONS]
    version = opset(draft.proto)
    early = version < WORKING and any(node.op_type in EARLY and not node.domain for node in draft.proto.graph.node)
    if version < OLDEST or not (found or early):
        return None
    proto = draft.proto if version >= WORKING else raised(draft)
    before = Counter(node.op_type for node in found)
    while found and (written := _expanded(proto)) is not None:
        proto = written
    left = Counter(n.op_type for n in proto.graph.node if (n.domain, n.op_type) in EXPANSIONS)
    kinds = ", ".join(f"{count} {kind}" for kind, count in (before - left).items())
    note = f"operators of ONNX Runtime's own ({kinds}) are written in standard ones, which every compiler takes"
    return Change(draft.with_proto(with_names(proto)), f"{draft.where}: {note}" if kinds else "", _TOLERANCE)


def _expanded(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """Every operator written out whose shapes are known; None where none is left that can be."""
    version = opset(proto)
    model = ir.from_proto(with_shapes(proto))
    names: set[str | None] = {node.name for node in model.graph} | set(model.graph.initializers)
    names |= {value.name for node in model.graph for value in node.outputs}
    changed = False
    for node in list(model.graph):
        expansion = EXPANSIONS.get((node.domain, node.op_type))
        if expansion is None:
            continue
        site = Site(model.graph, node, version, names)
        try:
            made = expansion(site)
        except Left:
            continue
        values = [made] if isinstance(made, ir.Value) else list(made)
        values += [None] * (len(node.outputs) - len(values))
        read = [(old, new) for old, new in zip(node.outputs, values, strict=False) if _read(old)]
        if any(new is None for _, new in read):
            continue
        old, new = [old for old, _ in read], [new for _, new in read if new is not None]
        ir.convenience.replace_nodes_and_values(model.graph, node, [node], site.tape.nodes, old, new)
        changed = True
    return ir.to_proto(model) if changed else None


def _read(value: ir.Value) -> bool:
    return value.is_graph_output() or any(True for _ in value.uses())


STEP = Step("operators of ONNX Runtime", _apply)
