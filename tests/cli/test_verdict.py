"""How a run ends, and what CI gets of it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from edge.api.check_result import CheckedEngine, CheckResult
from edge.api.run import Run
from edge.cli.junit import write_junit
from edge.cli.output import FAILED, PASSED, Output
from edge.cli.show import show_deploy
from edge.cli.step_summary import VARIABLE, append_summary
from edge.cli.verdict import verdict_text
from edge.report.words import findings
from tests.fixtures.report_example import example


def test_the_end_says_what_passed_why_others_fail_and_what_is_next(tmp_path: Path) -> None:
    report = example().report
    lines = verdict_text(Run(report, tmp_path)).splitlines()
    words = [line.split()[0] for line in lines]
    assert words[0] == "PASS" and report.chosen in lines[0] and "× FP32" in lines[0] and "images)" in lines[0]
    for row in report.engines:
        if not row.gate.passed:
            word = "unbuilt" if row.path is None else "fails"
            assert any(row.name in line and row.gate.reasons[0] in line for line in lines if line.startswith(word))
    assert words[-3:] == ["engine", "report", "next"] and "file:///" in lines[-2] and "edge segment" in lines[-1]


def test_a_float_model_that_scores_low_is_told_with_what_to_check(tmp_path: Path) -> None:
    report = example().report
    poor = replace(report, reference=replace(report.reference, dice=0.3))
    assert "own Dice" not in verdict_text(Run(report, tmp_path))
    (note,) = [line for line in verdict_text(Run(poor, tmp_path)).splitlines() if "own Dice is 0.300" in line]
    assert note.startswith("note") and "mask_values" in note
    assert any("own Dice is 0.300" in finding for finding in findings(poor))


def test_nothing_chosen_names_no_engine(tmp_path: Path) -> None:
    failed = replace(example().report, chosen=None, status="failed")
    lines = verdict_text(Run(failed, tmp_path)).splitlines()
    assert not any(line.startswith(("PASS", "engine")) for line in lines)
    unconfirmed = replace(failed, status="unconfirmed")
    assert f"edge bundle {tmp_path} --target" in verdict_text(Run(unconfirmed, tmp_path))


def test_what_to_type_next_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "my run (2)"
    for report in (example().report, replace(example().report, chosen=None, status="unconfirmed")):
        word, *line = shlex.split(verdict_text(Run(report, folder)).splitlines()[-1])
        assert (word, line[0]) == ("next", "edge")
        assert any(Path(part).is_relative_to(folder) for part in line)


def test_too_little_speed_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(example().report, tmp_path)
    assert run.speedup is not None
    output = Output(as_json=True, quiet=False, verbose=False)
    assert show_deploy(run, output, run.speedup - 0.01) == PASSED
    assert show_deploy(run, output, run.speedup + 0.01) == FAILED
    assert "--fail-under-speedup asks" in capsys.readouterr().err


def checked() -> CheckResult:
    rows = [row for row in example().report.engines if row.accuracy is not None]
    return CheckResult(tuple(CheckedEngine(row.name, row.accuracy, row.gate) for row in rows))


def test_a_check_as_junit_has_a_failure_for_each_engine_that_fails(tmp_path: Path) -> None:
    from xml.etree import ElementTree as Xml

    write_junit(checked(), tmp_path / "junit.xml")
    suites = {suite.get("name"): suite for suite in Xml.parse(tmp_path / "junit.xml").getroot()}
    for row in checked().engines:
        suite = suites[row.engine]
        assert (suite.get("failures") == "0") == row.gate.passed, row.engine
        assert int(suite.get("tests", 0)) == len(suite.findall("testcase")) > 0
        told = [failure.text or failure.get("message") for failure in suite.iter("failure")]
        assert tuple(told) == row.gate.reasons, "each case tells its own reason"


def test_the_summary_is_written_only_where_github_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    append_summary(checked())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "summary.md"))
    append_summary(checked())
    assert (tmp_path / "summary.md").read_text().count("\n| `") == len(checked().engines)
