"""What changed between two runs of one network and target, and the command that asks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge.accuracy.gate import Verdict
from edge.latency.statistics import Ratio
from edge.report.changes import CHOSEN, Change, changes, folder_labels, summary
from edge.report.results import EngineRow, Report
from edge.report.write import write_report
from tests.fixtures.report_example import example


def timed(row: EngineRow, times: float, wide: float = 0.01) -> EngineRow:
    """The row, so many times as fast as FP32, give or take."""
    return replace(row, against_fp32=Ratio(1 / times, ((1 - wide) / times, (1 + wide) / times), 30))


def dice(row: EngineRow, factor: float) -> EngineRow:
    assert row.accuracy is not None
    scores = replace(row.accuracy.dice, mean=factor * row.accuracy.dice.mean)
    return replace(row, accuracy=replace(row.accuracy, dice=scores))


def changed(report: Report, **rows: EngineRow | None) -> Report:
    """The report with rows of these names in place of its own; None leaves one out."""
    kept = [rows.get(row.name, row) for row in report.engines]
    return replace(report, engines=tuple(row for row in kept if row is not None))


@pytest.fixture
def old() -> Report:
    report = example().report
    return changed(report, mixed=timed(report.engine("mixed"), 2.0), bf16=timed(report.engine("bf16"), 1.6))


def states(found: tuple[Change, ...]) -> dict[str, str]:
    return {change.engine: change.state for change in found}


def test_a_run_is_the_same_as_itself(old: Report) -> None:
    found = changes([old, old], ["a", "b"])
    assert set(states(found).values()) == {"same"} and summary(found) == "6 same"
    assert {(c.before, c.after, c.network, c.target) for c in found} == {("a", "b", "litenext", "cpu")}


def test_what_fails_now_has_regressed(old: Report) -> None:
    fails = replace(old.engine("bf16"), gate=Verdict("99.9", False, ("Dice kept 99.2 %",)))
    found = changes([old, changed(old, bf16=fails)], ["a", "b"])
    assert found[0].engine == "bf16" and found[0].state == "regressed" and found[0].reasons == ("Dice kept 99.2 %",)
    assert states(changes([changed(old, bf16=fails), old], ["a", "b"]))["bf16"] == "improved"


@pytest.mark.parametrize(
    ("factor", "state"), [(0.9985, "regressed"), (0.9995, "same"), (1.0005, "same"), (1.0015, "improved")]
)
def test_dice_may_move_by_a_thousandth(old: Report, factor: float, state: str) -> None:
    new = changed(old, bf16=dice(old.engine("bf16"), factor))
    assert states(changes([old, new], ["a", "b"]))["bf16"] == state


def test_dice_on_other_images_is_not_compared(old: Report) -> None:
    new = changed(old, bf16=dice(old.engine("bf16"), 0.9))
    other = replace(new, data=replace(new.data, evaluation=replace(new.data.evaluation, sha256="dd" * 32)))
    (change,) = [c for c in changes([old, other], ["a", "b"]) if c.engine == "bf16"]
    assert change.state == "same" and "other images" in change.reasons[0]


@pytest.mark.parametrize(
    ("times", "wide", "state"),
    [
        (1.80, 0.01, "regressed"),
        (1.90, 0.01, "same"),
        (1.80, 0.2, "same"),
        (2.1, 0.01, "same"),
        (2.2, 0.01, "improved"),
    ],
)
def test_speed_counts_beyond_six_percent_and_apart(old: Report, times: float, wide: float, state: str) -> None:
    found = changes([old, changed(old, mixed=timed(old.engine("mixed"), times, wide))], ["a", "b"])
    assert states(found)["mixed"] == state and states(found)[CHOSEN] == state


def test_milliseconds_and_other_machines_are_not_compared(old: Report) -> None:
    slow = timed(old.engine("mixed"), 1.2)
    assert slow.latency_ms is not None
    new = changed(old, mixed=replace(slow, latency_ms=replace(slow.latency_ms, p50=9.0)))
    elsewhere = replace(new, environment={**new.environment, "cpu": "another"})
    (change,) = [c for c in changes([old, elsewhere], ["a", "b"]) if c.engine == "mixed"]
    assert change.state == "same" and change.reasons == ("speed not compared: another machine",)


def test_engines_and_choices_come_and_go(old: Report) -> None:
    none = replace(changed(old, int8=None), chosen=None, status="failed")
    found = states(changes([old, none], ["a", "b"]))
    assert found["int8"] == "gone" and found[CHOSEN] == "regressed"
    found = states(changes([none, old], ["a", "b"]))
    assert found["int8"] == "new" and found[CHOSEN] == "improved"
    other = replace(old, model=replace(old.model, name="unet"))
    assert changes([old, other], ["a", "b"]) == (), "another network is no earlier run"


def test_what_no_run_built_neither_came_nor_went(old: Report) -> None:
    unbuilt = replace(old.engine("bf16"), path=None)
    with_it, without = changed(old, bf16=unbuilt), changed(old, bf16=None)
    for before, after in ((with_it, without), (without, with_it)):
        assert "bf16" not in states(changes([before, after], ["a", "b"]))
    assert states(changes([old, without], ["a", "b"]))["bf16"] == "gone"


def test_runs_are_named_by_folder(tmp_path: Path) -> None:
    for name in ("a/run", "b/run", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert folder_labels([tmp_path / "a/run", tmp_path / "c"]) == ("run", "c")
    assert folder_labels([tmp_path / "a/run", tmp_path / "b/run"]) == ("a/run", "b/run")
    assert folder_labels([tmp_path / "c", tmp_path / "c"]) == ("c", "c")


@pytest.mark.slow
def test_the_command_tells_and_fails_on_a_regression(tmp_path: Path, old: Report) -> None:
    write_report(old, tmp_path / "released", images=False)
    write_report(changed(old, mixed=timed(old.engine("mixed"), 1.5)), tmp_path / "candidate", images=False)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "edge.cli.app", "report", *words, "--out", "both.html"]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    told = call("released", "candidate")
    assert told.returncode == 0 and "2 regressed" in told.stdout and "2.00× → 1.50× FP32" in told.stdout, told.stderr
    assert call("released", "candidate", "--fail-on", "regression").returncode == 1
    assert call("released", "released", "--fail-on", "regression").returncode == 0
    alone = call("released", "--fail-on", "regression")
    assert alone.returncode == 2 and "nothing was compared" in alone.stderr
    refused = call("released", "candidate", "--fail-on", "anything")
    assert refused.returncode == 2 and "regression" in refused.stderr

    call("released", "candidate")
    page, text = (tmp_path / "both.html").read_text(), (tmp_path / "both.md").read_text()
    for written in (page, text):
        assert "released" in written and "candidate" in written
        assert written.index("What changed: 2 regressed") < written.index(
            "Ship mixed" if written is text else "Verdicts</h2>"
        )
    found = json.loads((tmp_path / "both.json").read_text())["changes"]
    assert found[0]["state"] == "regressed" and found[0]["before"] == "released"
