"""The head of a report: one line that says what to ship, two badges, and why the other engines were not taken."""

from __future__ import annotations

from dataclasses import dataclass

from edge.report import words
from edge.report.results import EngineRow, Report

TIGHT = 0.05
"""Half-width of a paired ratio's interval, over the ratio, up to which the ratio can be quoted on a busy machine."""


@dataclass(frozen=True)
class Badge:
    """One claim of the report and how far it can be trusted.

    Attributes:
        title: what it is about: accuracy or timing.
        state: ``good``, ``warn`` or ``bad``.
        text: the claim in a few words.
    """

    title: str
    state: str
    text: str


def headline(report: Report) -> str:
    """What to do, in one line: ``Ship int8-bf16: 3.1× faster than FP32, Dice 0.911 → 0.911``."""
    row = report.chosen_row
    if row is None:
        if report.status == "unconfirmed":
            return f"Nothing to ship yet: {words.device(report)} has to confirm it"
        return "Ship none of these: no engine passes the gate"
    parts = [part for part in (_faster(report, row), _same(report, row)) if part]
    return f"Ship {row.name}" + (f": {', '.join(parts)}" if parts else "")


def badges(report: Report) -> tuple[Badge, ...]:
    """How far the accuracy and the timing can be trusted, each by what is claimed of it."""
    return (_accuracy_badge(report), _timing_badge(report))


def not_taken(report: Report) -> tuple[tuple[str, str], ...]:
    """Name of every engine that was not chosen, and why, in a line each."""
    chosen = report.chosen_row
    return tuple((row.name, _why_not(row, chosen)) for row in report.engines if row is not chosen)


def speed_ratio(row: EngineRow) -> str:
    """How many times as fast as FP32, with its paired interval: ``3.1× (3.0 to 3.2)``; empty where not paired."""
    paired = row.against_fp32
    if paired is None:
        return ""
    return f"{1 / paired.ratio:.2f}× ({words.interval(row)})"


def _faster(report: Report, row: EngineRow) -> str:
    base = words.baseline(report)
    if base is None or base is row:
        return ""
    factor = words.speedup(row, base)
    if factor is None:
        return ""
    unproven = words.unsure(row, base)
    if unproven == "tie":
        return f"a tie with FP32 in speed ({words.interval(row)} times)"
    doubt = ", which is not sure" if unproven else ""
    return "as fast as FP32" if abs(factor - 1) < 0.02 else f"{factor:.1f}× the speed of FP32{doubt}"


def _same(report: Report, row: EngineRow) -> str:
    if row.accuracy is None:
        return ""
    return f"Dice {report.reference.dice:.3f} → {row.accuracy.dice.mean:.3f}"


def _accuracy_badge(report: Report) -> Badge:
    gate, images = report.engines[0].gate.preset, report.data.evaluation.images
    if gate == "none":
        return Badge("accuracy", "warn", "not gated")
    if report.status == "unconfirmed":
        return Badge("accuracy", "warn", f"simulated on {images} images, not confirmed on the device")
    if report.chosen is None:
        return Badge("accuracy", "bad", f"no engine passes gate {gate} on {images} images")
    return Badge("accuracy", "good", f"passes gate {gate} on {images} images")


def _timing_badge(report: Report) -> Badge:
    row = report.chosen_row
    if row is None or row.latency_ms is None:
        measured = any(r.latency_ms is not None for r in report.engines)
        return Badge("timing", "warn", "nothing chosen to time" if measured else "not measured here")
    if row.latency_ms.trustworthy:
        return Badge("timing", "good", "steady: milliseconds and ratios can be quoted")
    paired = row.against_fp32
    if paired is not None and (paired.ci95[1] - paired.ci95[0]) / 2 <= TIGHT * paired.ratio:
        return Badge("timing", "good", f"busy machine: quote the ratio, {speed_ratio(row)} FP32, not the milliseconds")
    return Badge("timing", "warn", "busy machine: neither milliseconds nor ratio are sure; measure again")


def _why_not(row: EngineRow, chosen: EngineRow | None) -> str:
    if not row.gate.passed:
        return row.gate.reasons[0] if row.gate.reasons else "fails the gate"
    ours, theirs = words.p50(chosen) if chosen else None, words.p50(row)
    if ours is None or theirs is None or chosen is None:
        return "passes, but was not timed"
    longer = theirs / ours
    if row.against_fp32 is not None and chosen.against_fp32 is not None:
        longer = row.against_fp32.ratio / chosen.against_fp32.ratio
    if longer > 1:
        return f"passes; takes {longer:.2f} times as long as {chosen.name}"
    return f"passes; as fast as {chosen.name} within what was measured"
