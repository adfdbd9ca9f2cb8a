"""The gate as a table: criterion, asked, measured, margin."""

from __future__ import annotations

import pytest

from edge.accuracy.gate import Check, Verdict
from edge.report.gate_table import GateLine, gate_table
from edge.report.html import render
from edge.report.markdown import markdown
from tests.fixtures.report_example import example


def line(check: Check) -> GateLine:
    from dataclasses import replace

    row = example().report.engine("mixed")
    return gate_table(replace(row, gate=Verdict("99.9", check.passed, (), (check,))))[0]


@pytest.mark.parametrize(
    ("check", "asked", "measured", "margin"),
    [
        (Check("Dice retained", 0.9995, 0.999, True), "≥ 0.9990", "0.9995", "+0.0005"),
        (Check("worst image's drop", 0.02, 0.05, True), "≤ 0.0500", "0.0200", "+0.0300"),
        (Check("worst image's drop", 0.07, 0.05, False), "≤ 0.0500", "0.0700", "−0.0200"),
        (Check("parity_db", 41.94, 30.0, True), "≥ 30.0", "41.9", "+11.9"),
        (Check("Dice difference, lower bound", -0.0012, -0.005, True), "≥ −0.0050", "−0.0012", "+0.0038"),
    ],
)
def test_the_margin_is_positive_inside_the_bar(check: Check, asked: str, measured: str, margin: str) -> None:
    found = line(check)
    assert (found.asked, found.measured, found.margin, found.passed) == (asked, measured, margin, check.passed)


def test_page_and_markdown_show_each_criterion_of_the_chosen_engine() -> None:
    report = example().report
    criteria = [line.criterion for line in gate_table(report.engine("mixed"))]
    assert len(criteria) == len(report.engine("mixed").gate.checks) and "parity with the graph, dB" in criteria
    assert "Dice retained" in criteria and len(criteria) >= 6
    page, text = render(report), markdown(report)
    for criterion in criteria:
        assert criterion.replace("'", "&#39;") in page and criterion in text
