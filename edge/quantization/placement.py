"""Where Q/DQ goes: on the operand itself, or further up, so that pooling and concatenation run on 8 bits too.

    Relu ──┬── MaxPool ── Q1 ── Conv                 Relu ── Q ──┬── MaxPool ── Conv
           └── Concat ─── Q2 ── Conv       to        Up ──── Q ──┴─ Concat ──── Conv
    Up ───────┘

On the left every skip is written as float32 and read twice. On the right the convolution before writes 8 bits once; all
that meets in a Concat, and whatever else comes from the same tensors, then shares one grid, since OpenVINO keeps an
INT8 convolution only if all its channels have one scale. On a U-Net that is about 1.1 times faster and costs nothing
(41.8 dB against 41.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

_CARRIERS = ("MaxPool", "Concat")


@dataclass(frozen=True)
class Placement:
    """Tensors that share one grid.

    Attributes:
        operands: what INT8 nodes read.
        sources: where to round: the operands themselves, or what they are moved from.
        carriers: nodes between the two, which read rounded sources.
    """

    operands: tuple[ir.Value, ...]
    sources: tuple[ir.Value, ...]
    carriers: tuple[ir.Node, ...]


def on_operands(operands: Sequence[ir.Value]) -> list[Placement]:
    """Each operand by itself."""
    return [Placement((value,), (value,), ()) for value in operands]


def on_sources(operands: Sequence[ir.Value], readers: frozenset[str]) -> list[Placement]:
    """As far up as pooling and concatenation reach, where nothing else would see the rounding.

    Args:
        operands: what INT8 nodes read, without repetition.
        readers: names of the INT8 nodes.
    """
    traces = [_trace(value, readers) for value in operands]
    members: list[list[int]] = []
    for index, (sources, _) in enumerate(traces):
        touched = [group for group in members if any(_meet(traces[other][0], sources) for other in group)]
        members = [group for group in members if group not in touched] + [
            [*(i for group in touched for i in group), index]
        ]
    return [
        Placement(
            tuple(operands[i] for i in sorted(group)),
            _unique(value for i in sorted(group) for value in traces[i][0]),
            _unique(node for i in sorted(group) for node in traces[i][1]),
        )
        for group in members
    ]


def _trace(value: ir.Value, readers: frozenset[str]) -> tuple[list[ir.Value], list[ir.Node]]:
    """Where a tensor's values come from, and the nodes that only carry them."""
    node = value.producer()
    if node is None or node.op_type not in _CARRIERS or not _is_captured(value, readers, {}):
        return [value], []
    sources, carriers = [], [node]
    for read in node.inputs:
        if read is not None:
            found, between = _trace(read, readers)
            sources += found
            carriers += between
    return sources, carriers


def _is_captured(value: ir.Value, readers: frozenset[str], known: dict[str, bool]) -> bool:
    """Whether only INT8 nodes see the tensor, directly or through carriers."""
    name = str(value.name)
    if name not in known:
        known[name] = not value.is_graph_output() and all(
            (node.name in readers and index < 2)
            or (node.op_type in _CARRIERS and _is_captured(node.outputs[0], readers, known))
            for node, index in value.uses()
        )
    return known[name]


def _meet(some: Sequence[ir.Value], others: Sequence[ir.Value]) -> bool:
    return any(value is other for value in some for other in others)


def _unique(items: Iterable[ir.Value] | Iterable[ir.Node]) -> tuple:  # type: ignore[type-arg]
    found: Mapping[int, object] = {id(item): item for item in items}
    return tuple(found.values())
