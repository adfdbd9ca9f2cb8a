"""The gate as a table: what was asked of an engine, what was measured, and the margin between the two."""

from __future__ import annotations

from dataclasses import dataclass

from edge.accuracy.gate import Check
from edge.report.results import EngineRow

_NAMES = {"parity_db": "parity with the graph, dB"}
"""Criteria whose key in ``report.json`` is no phrase."""


@dataclass(frozen=True)
class GateLine:
    """One criterion.

    Attributes:
        criterion: its name.
        asked, measured, margin: as text, in the criterion's own unit; the margin is positive inside the bar.
        passed: whether the bar was met.
    """

    criterion: str
    asked: str
    measured: str
    margin: str
    passed: bool


def gate_table(row: EngineRow) -> tuple[GateLine, ...]:
    """A line for each check that an engine's verdict rests on; empty where nothing was asked or nothing scored."""
    return tuple(_line(check) for check in row.gate.checks)


def _line(check: Check) -> GateLine:
    sign = "≤" if check.at_most else "≥"
    show = _decibels if "dB" in check.criterion or check.bar >= 2 else _share
    name = _NAMES.get(check.criterion, check.criterion)
    asked, margin = f"{sign} {show(check.bar)}", _signed(show(check.margin))
    return GateLine(name, asked, show(check.value), margin, check.passed)


def _signed(text: str) -> str:
    return text if text.startswith("−") else f"+{text}"


def _share(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _decibels(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
