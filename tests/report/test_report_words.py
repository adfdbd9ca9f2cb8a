"""Numbers and verdicts in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edge.latency.statistics import Ratio
from edge.report import words
from tests.fixtures.report_example import example


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (0.482, "0.482"), (3.1415, "3.14"), (27.18, "27.2"), (1240.4, "1240"), (None, "–")],
)
def test_milliseconds_have_three_digits_and_no_exponent(value: float | None, text: str):
    assert words.milliseconds(value) == text


def test_scores_differences_and_decibels():
    assert words.score(0.92345) == "0.9234" and words.score(math.nan) == "–"
    assert words.signed(-0.00123) == "−0.0012" and words.signed(-0.00001) == "0.0000"
    assert words.decibels(200.0) == "equal" and words.decibels(-3.14) == "−3.1 dB" and words.decibels(None) == "–"
    assert words.percent(0.99967) == "99.97 %"
    assert words.size(812_340) == "812 kB" and words.size(2_861_220) == "2.86 MB"
    assert words.number(-148_168) == "−148\u202f168" and words.giga(-16_800_000) == "−16.8 M"
    assert words.seconds(125) == "2 min 5 s"
    assert words.listed([]) == "" and words.listed(["a"]) == "a" and words.listed(["a", "b", "c"]) == "a, b and c"


def test_the_verdict_quotes_the_chosen_engine_s_own_figures():
    report = example().report
    row = report.engine("mixed")
    assert row.accuracy is not None and row.latency_ms is not None
    text = words.verdict(report)
    assert text.startswith("On Intel Xeon Platinum 8481C, engine mixed of litenext takes ")
    assert f"{row.latency_ms.p50:.2f} ms per image (median)" in text
    assert f"{100 * row.accuracy.dice.retained:.2f} % of the float model's Dice" in text
    assert f"({report.reference.dice:.4f} → {row.accuracy.dice.mean:.4f}" in text
    assert text.endswith("on 24 test images of dsb2018: it passes gate 99.9.")
    assert text.count(". ") == 0, "one sentence"


def test_a_failed_run_says_so_first():
    report = replace(example().report, status="failed", chosen=None)
    assert words.verdict(report).startswith("No engine of litenext on Intel Xeon Platinum 8481C passes gate 99.9")


def test_an_unconfirmed_run_never_claims_a_latency():
    engines = tuple(replace(row, latency_ms=None, simulated=True) for row in example().report.engines)
    target = {"name": "orin-nano", "title": "Jetson Orin Nano 8 GB"}
    report = replace(example().report, status="unconfirmed", chosen=None, engines=engines, target=target)
    text = words.verdict(report)
    assert "nothing was timed there" in text and "fp32, bf16 and mixed pass gate 99.9" in text and " ms" not in text
    assert any("simulated" in finding for finding in words.findings(report))


def test_int8_that_is_slower_is_called_not_worth_it():
    rows = []
    for row in example().report.engines:
        if row.name != "mixed":
            rows.append(row)
    report = replace(example().report, engines=tuple(rows), chosen="bf16")
    found = [text for text in words.findings(report) if "not worth it" in text]
    assert len(found) == 1 and found[0].startswith("INT8 is not worth it here: 4.7")


def test_what_so_many_images_can_show():
    accuracy = example().report.engine("int8").accuracy
    assert accuracy is not None
    many = replace(accuracy, dice=replace(accuracy.dice, detectable=0.00417), units=24, resampled_by="image")
    assert "drawn over 24 images: a true change of mean Dice below 0.0042 could" in words.evidence([many])
    few = replace(many, units=4, resampled_by="patient")
    assert words.evidence([few]).startswith("Intervals are drawn over 4 patients (24 images): ")
    assert words.evidence([replace(few, units=1, resampled_by="slide_id")]).startswith(
        "Intervals are drawn over 1 × slide_id"
    )
    quiet = replace(many, dice=replace(many.dice, detectable=0.0001))
    assert "below 0.0042" in words.evidence([quiet, many]), "of the engine that scatters most"
    unknown = replace(many, dice=replace(many.dice, detectable=math.nan))
    assert words.evidence([unknown]) == "Intervals are drawn over 24 images."


def test_a_handful_of_patients_is_called_that():
    row = example().report.engine("int8")
    assert row.accuracy is not None
    few = replace(row, accuracy=replace(row.accuracy, units=4, resampled_by="patient"))
    found = words.findings(replace(example().report, engines=(few,), chosen=None, status="failed"))
    assert any(text.startswith("The images are of 4 patients only") for text in found)
    assert not any("patient" in text for text in words.findings(example().report))


def test_what_cannot_be_trusted_is_named():
    assert "Milliseconds not to be trusted, int8: run times scatter." in words.findings(example().report)
    report = replace(example().report, chosen="int8")
    assert "ms per image (median, under disturbance)" in words.verdict(report)


def test_a_median_that_contradicts_the_ratio_is_explained() -> None:
    report = example().report
    assert not any("looks faster" in finding for finding in words.findings(report))
    other = next(row for row in report.engines if row.latency_ms is not None and row.name != report.chosen)
    chosen = report.engine(report.chosen)
    assert chosen.latency_ms is not None and other.latency_ms is not None

    def told(times: float, median: float) -> bool:
        """Whether it is explained that the other engine has this ratio to FP32 and this median."""
        rows = {
            chosen.name: replace(chosen, against_fp32=Ratio(0.5, (0.49, 0.51), 20)),
            other.name: replace(
                other, against_fp32=Ratio(times, (times, times), 8), latency_ms=replace(other.latency_ms, p50=median)
            ),
        }
        changed = replace(report, engines=tuple(rows.get(row.name, row) for row in report.engines))
        return any(f"By its median {other.name} looks faster" in finding for finding in words.findings(changed))

    below = chosen.latency_ms.p50 / 2
    assert told(0.8, below) and not told(0.5, below) and not told(0.8, 2 * chosen.latency_ms.p50)
