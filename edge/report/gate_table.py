"""The gate as a table: what was asked of an engine, what was measured, and the margin between the two."""

from __future__ import annotations

from dataclasses import dataclass

from edge.accuracy.gate import Check
from edge.report import words
from edge.report.results import EngineRow

_AT_MOST = ("worst image's drop",)
"""Criteria whose value has to stay below the bar; all others ask for at least it."""


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
    at_most = check.criterion in _AT_MOST
    sign = "≤" if at_most else "≥"
    margin = check.bar - check.value if at_most else check.value - check.bar
    show = _decibels if "dB" in check.criterion or check.bar >= 2 else _share
    return GateLine(check.criterion, f"{sign} {show(check.bar)}", show(check.value), words.signed(margin), check.passed)


def _share(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _decibels(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
