"""The head of a report says what to ship, how far to trust it, and why the others were not taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.latency.statistics import Ratio
from edge.report.headline import badges, headline, not_taken, speed_ratio
from edge.report.results import Report
from tests.fixtures.report_example import example


def busy(report: Report, interval: tuple[float, float]) -> Report:
    """The run as if timed on a busy machine, with this paired interval of the chosen engine's time over FP32's."""
    rows = tuple(
        replace(row, latency_ms=replace(row.latency_ms, trustworthy=False, warnings=("run times scatter",)),
                against_fp32=Ratio(0.5, interval, 20))
        if row.name == report.chosen and row.latency_ms else row
        for row in report.engines
    )  # fmt: skip
    return replace(report, engines=rows)


def test_one_line_names_the_engine_its_speed_and_its_dice() -> None:
    assert headline(example().report) == "Ship mixed: 2.0× the speed of FP32, Dice 0.971 → 0.971"


def test_nothing_passes_and_nothing_confirmed_are_said_as_such() -> None:
    report = replace(example().report, chosen=None, status="failed")
    assert headline(report).startswith("Ship none of these")
    assert badges(report)[0].state == "bad"
    unconfirmed = replace(report, status="unconfirmed")
    assert headline(unconfirmed).startswith("Nothing to ship yet")
    assert "simulated" in badges(unconfirmed)[0].text


@pytest.mark.parametrize(("interval", "state"), [((0.49, 0.51), "good"), ((0.40, 0.62), "warn")])
def test_a_tight_paired_ratio_can_be_quoted_on_a_busy_machine(interval: tuple[float, float], state: str) -> None:
    report = busy(example().report, interval)
    timing = badges(report)[1]
    assert timing.state == state
    assert ("2.00× (1.96 to 2.04)" in timing.text) == (state == "good")


def test_the_paired_ratio_is_shown_as_speed() -> None:
    report = busy(example().report, (0.4, 0.625))
    assert speed_ratio(report.engine("mixed")) == "2.00× (1.60 to 2.50)"
    assert speed_ratio(report.engine("fp32")) == ""


def test_every_other_engine_has_a_reason() -> None:
    reasons = dict(not_taken(example().report))
    assert set(reasons) == {"fp32", "bf16", "fp16", "int8"}
    assert "silently run as BF16" in reasons["fp16"]
    assert reasons["fp32"] == "passes; takes 2.03 times as long as mixed"
    assert "retained" in reasons["int8"] or "below" in reasons["int8"]
