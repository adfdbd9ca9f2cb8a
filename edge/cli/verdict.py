"""A run's end in a few lines: what passed and how fast, what failed and why, where it lies, what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from edge.report import words
from edge.report.headline import badges
from edge.report.summary import result_line

if TYPE_CHECKING:
    from edge.api.run import Run
    from edge.report.results import EngineRow, Report


def verdict_text(run: Run) -> str:
    """The lines, each with its word first."""
    return "\n".join(f"{word:<7} {text}" for word, text in _lines(run))


def _lines(run: Run) -> Iterator[tuple[str, str]]:
    report = run.report
    width = max(len(row.name) for row in report.engines)
    for row in sorted(report.engines, key=lambda row: (row.name != report.chosen, not row.gate.passed)):
        yield _word(report, row), _figures(report, row, width)
    chosen = report.chosen_row
    if chosen is not None and chosen.latency_ms is not None and not chosen.latency_ms.trustworthy:
        (timing,) = (badge for badge in badges(report) if badge.title == "timing")
        yield "note", timing.text
    low = words.low_reference(report)
    if low:
        yield "note", low
    if report.status == "unconfirmed":
        yield "note", f"nothing was timed: this machine is not {report.target['name']}, which decides"
    if run.engine is not None:
        yield "engine", str(run.engine)
    yield "report", (run.folder / "report.html").resolve().as_uri()
    yield "next", _next(run)


def _word(report: Report, row: EngineRow) -> str:
    if row.name == report.chosen:
        return "PASS"
    if row.path is None:
        return "unbuilt"
    return "passes" if row.gate.passed else "fails"


def _figures(report: Report, row: EngineRow, width: int) -> str:
    if row.gate.passed:
        name, _, figures = result_line(report, row).partition("   ")
        return f"{name:<{width}}   {figures}".rstrip()
    return f"{row.name:<{width}}   {row.gate.reasons[0] if row.gate.reasons else words.state(row)}"


def _next(run: Run) -> str:
    if run.engine is not None:
        return f"edge segment {quote(str(run.engine))} IMAGE --out masks"
    if run.report.status == "unconfirmed":
        archive = quote(f"{run.folder.name}.tar.gz")
        return f"edge bundle {quote(str(run.folder))} --target {run.report.target['name']} --out {archive}"
    return "none passes: the report says what each loses; edge deploy --gate 99 asks for less"
