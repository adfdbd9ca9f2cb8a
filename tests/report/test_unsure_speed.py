"""A speed-up that is not sure is said to be one wherever it is printed: terminal, report, repr, cards."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cli.tables import engines_text
from edge.handover.model_card import write_card
from edge.latency.statistics import Ratio
from edge.report import words
from edge.report.headline import headline
from edge.report.html import render, render_merged
from edge.report.markdown import markdown, merged_markdown
from edge.report.results import Report
from edge.report.summary import result_line, run_table
from tests.fixtures.report_example import example

TIE, SURE = (0.62, 1.05), (0.62, 0.81)


def paired(interval: tuple[float, float]) -> Report:
    """The run with every engine paired with FP32 at 1.4 times its speed, with this interval of times."""
    rows = tuple(
        replace(row, against_fp32=Ratio(1 / 1.4, interval, 20)) if row.latency_ms and row.precision != "fp32" else row
        for row in example().report.engines
    )
    return replace(example().report, engines=rows)


def printed(report: Report, folder: Path) -> dict[str, str]:
    """Everything that names the chosen engine's speed, by where."""
    row = report.chosen_row
    assert row is not None
    header, table = run_table(report)
    cells = {line[0]: dict(zip(header, line, strict=True)) for line in table}
    return {
        "headline": headline(report),
        "verdict": words.verdict(report),
        "repr": result_line(report, row),
        "notebook": cells[f"{row.name} ◀"]["× FP32"],
        "terminal": engines_text(report),
        "html": render(report),
        "merged html": render_merged([report], [None], ["one"]),
        "markdown": markdown(report),
        "merged markdown": merged_markdown([report], ["one"]),
        "model card": write_card(report, folder / "card.md").read_text(),
    }


PLACES = (
    "headline", "verdict", "repr", "notebook", "terminal", "html", "merged html", "markdown", "merged markdown",
    "model card",
)  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, without_plots: None) -> dict[str, dict[str, str]]:
    """What is printed of each kind of run, by where."""
    reports = {"tie": paired(TIE), "sure": paired(SURE), "disturbed": timed(False), "quiet": timed(True)}
    return {kind: printed(report, tmp_path_factory.mktemp(kind)) for kind, report in reports.items()}


def timed(trustworthy: bool) -> Report:
    """The run by its medians, disturbed or not."""
    rows = tuple(
        replace(row, latency_ms=replace(row.latency_ms, trustworthy=trustworthy)) if row.latency_ms else row
        for row in example().report.engines
    )
    return replace(example().report, engines=rows)


@pytest.mark.parametrize("place", PLACES)
def test_a_tie_is_called_one(place: str, places: dict[str, dict[str, str]]) -> None:
    tie, sure = (re.findall(r"\btie\b", places[kind][place]) for kind in ("tie", "sure"))
    assert tie and not sure


@pytest.mark.parametrize("place", PLACES)
def test_a_ratio_of_disturbed_medians_is_not_sure(place: str, places: dict[str, dict[str, str]]) -> None:
    assert "not sure" in places["disturbed"][place]
    assert "not sure" not in places["quiet"][place]
