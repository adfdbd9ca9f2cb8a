"""Where an engine's time goes: its layers, their shares, and how well their sum explains the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.backends.engine import Layer

_DISAGREEMENT = 0.25


@dataclass(frozen=True)
class LayerTimes:
    """An engine's layers, summed up.

    Attributes:
        total_ms: sum over layers that have a time.
        slowest: layers by time, longest first; those without a time are left out.
        by_precision, by_op: share of the total, 0 to 1, largest first.
        quantized: share of the time spent in INT8.
        explains: total / the engine's measured p50. Profiling slows layers, so above 1 is usual; None where no p50
            was given.
        warnings: what makes these times doubtful.
    """

    total_ms: float
    slowest: tuple[Layer, ...]
    by_precision: dict[str, float]
    by_op: dict[str, float]
    quantized: float
    explains: float | None
    warnings: tuple[str, ...]


def summarize_layers(layers: Sequence[Layer], p50_ms: float | None = None) -> LayerTimes | None:
    """Sum up what a :class:`edge.backends.engine.Runner` says of its layers.

    Args:
        layers: in the order that they run.
        p50_ms: the whole engine's median, measured without profiling.

    Returns:
        None where the compiler gives no times.
    """
    timed = [(layer, layer.ms) for layer in layers if layer.ms is not None]
    total = sum(ms for _, ms in timed)
    if total <= 0:
        return None
    by_precision = _shares([(layer.precision, ms) for layer, ms in timed], total)
    explains = total / p50_ms if p50_ms else None
    warnings: tuple[str, ...] = ()
    if explains is not None and abs(explains - 1.0) > _DISAGREEMENT:
        warnings = (f"layers add up to {total:.2f} ms, but the engine takes {p50_ms:.2f} ms: read shares, not times",)
    return LayerTimes(
        total_ms=total,
        slowest=tuple(layer for layer, _ in sorted(timed, key=lambda pair: -pair[1])),
        by_precision=by_precision,
        by_op=_shares([(layer.op, ms) for layer, ms in timed], total),
        quantized=by_precision.get("int8", 0.0),
        explains=explains,
        warnings=warnings,
    )


def _shares(rows: Sequence[tuple[str, float]], total: float) -> dict[str, float]:
    sums: dict[str, float] = {}
    for key, ms in rows:
        sums[key] = sums.get(key, 0.0) + ms / total
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
