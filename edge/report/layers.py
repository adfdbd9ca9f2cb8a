"""An engine's layers, ranked and summed for a table."""

from __future__ import annotations

from dataclasses import dataclass

from edge.backends.engine import Layer
from edge.report.results import EngineRow

MOST_ROWS = 20
_ORDER = ("int8", "fp16", "bf16", "fp32")


@dataclass(frozen=True)
class LayerLine:
    """One layer; ``share`` is of the engine's layer time, ``bar`` of its slowest layer's (both 0 to 1)."""

    layer: Layer
    share: float
    bar: float


@dataclass(frozen=True)
class PrecisionShare:
    """All layers of one precision; ``share`` is of time where times are known, else of their number."""

    precision: str
    layers: int
    ms: float
    share: float


@dataclass(frozen=True)
class ReasonLine:
    """All layers left float for one reason."""

    reason: str
    layers: int
    ms: float


@dataclass(frozen=True)
class LayerTable:
    """One engine's layers.

    Attributes:
        engine: its name.
        timed: the compiler gave times.
        total_ms: their sum.
        lines: slowest first, at most :data:`MOST_ROWS`; ``more`` layers are not listed and take ``more_ms``.
        precisions: by precision, narrowest first.
        reasons: why layers stayed float, costliest first.
    """

    engine: str
    timed: bool
    total_ms: float
    lines: tuple[LayerLine, ...]
    more: int
    more_ms: float
    precisions: tuple[PrecisionShare, ...]
    reasons: tuple[ReasonLine, ...]


def layer_table(row: EngineRow) -> LayerTable:
    """Rank and sum the layers of an engine that has some."""
    total = sum(_ms(layer) for layer in row.layers)
    ranked = sorted(row.layers, key=lambda layer: -_ms(layer))
    slowest = _ms(ranked[0])
    lines = tuple(
        LayerLine(layer, _ms(layer) / total if total else 0.0, _ms(layer) / slowest if slowest else 0.0)
        for layer in ranked[:MOST_ROWS]
    )
    rest = ranked[MOST_ROWS:]
    return LayerTable(
        engine=row.name,
        timed=total > 0,
        total_ms=total,
        lines=lines,
        more=len(rest),
        more_ms=sum(map(_ms, rest)),
        precisions=_precisions(row.layers, total),
        reasons=_reasons(row.layers),
    )


def _ms(layer: Layer) -> float:
    return layer.ms or 0.0


def _precisions(layers: tuple[Layer, ...], total: float) -> tuple[PrecisionShare, ...]:
    names = sorted({x.precision for x in layers}, key=lambda p: (_ORDER.index(p) if p in _ORDER else 99, p))
    found = []
    for name in names:
        members = [layer for layer in layers if layer.precision == name]
        ms = sum(map(_ms, members))
        found.append(PrecisionShare(name, len(members), ms, ms / total if total else len(members) / len(layers)))
    return tuple(found)


def _reasons(layers: tuple[Layer, ...]) -> tuple[ReasonLine, ...]:
    names = dict.fromkeys(layer.reason for layer in layers if layer.reason)
    lines = []
    for name in names:
        members = [layer for layer in layers if layer.reason == name]
        lines.append(ReasonLine(name, len(members), sum(map(_ms, members))))
    return tuple(sorted(lines, key=lambda line: (-line.ms, -line.layers)))
