"""Results in a line or a small table, for ``repr`` and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.report import words

if TYPE_CHECKING:
    from edge.notebook.shown import Table
    from edge.report.results import EngineRow, Report


def result_line(report: Report, row: EngineRow) -> str:
    """``int8-bf16  2.7 ms  3.1× FP32  Dice 0.911 → 0.908 (66 images)``; what was not measured is left out."""
    latency, base, accuracy = words.p50(row), words.baseline(report), row.accuracy
    parts = [row.name]
    if latency is not None:
        parts.append(f"{words.milliseconds(latency)} ms")
    if factor := words.times_fp32(row, base, digits=1):
        parts.append(factor)
    if accuracy is not None:
        parts.append(f"Dice {report.reference.dice:.3f} → {accuracy.dice.mean:.3f} ({accuracy.images} images)")
    return "   ".join(parts)


def run_table(report: Report) -> Table:
    """A row for each engine: name, ms, speed against FP32, Dice, gate."""
    base = words.baseline(report)
    return ("engine", "p50 ms", "× FP32", "Dice", "gate"), [_cells(report, row, base) for row in report.engines]


def _cells(report: Report, row: EngineRow, base: EngineRow | None) -> tuple[str, ...]:
    return (
        f"{row.name} ◀" if row.name == report.chosen else row.name,
        words.milliseconds(words.p50(row)),
        words.times(row, base),
        words.score(row.accuracy.dice.mean if row.accuracy else None),
        words.state(row),
    )
