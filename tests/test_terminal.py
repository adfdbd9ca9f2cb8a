"""Progress and tables on the terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "report"))
from example import example

from edge import terminal
from edge.target import targets


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def play(stream: io.StringIO, seconds: float, **options: bool) -> str:
    """One stage that takes so long by a made-up clock, and one message."""
    clock = iter([10.0, 10.0 + seconds])
    with terminal.Terminal(stream=stream, clock=lambda: next(clock), **options) as shown:
        shown.stage("calibrate", 64)
        for _ in range(64):
            shown.advance()
        shown.say("64 images")
        shown.detail("histograms of 120 tensors")
    return stream.getvalue()


def test_a_pipe_gets_messages_but_no_progress():
    assert play(io.StringIO(), 60) == "64 images\n"


def test_quiet_says_nothing():
    assert play(io.StringIO(), 60, quiet=True) == ""
    assert play(Tty(), 60, quiet=True) == ""


def test_verbose_says_more():
    assert play(io.StringIO(), 60, verbose=True) == "64 images\nhistograms of 120 tensors\n"


def test_a_terminal_is_told_how_long_a_slow_stage_took():
    assert "calibrate: 1 min 0 s" in play(Tty(), 60)
    assert "calibrate" not in play(Tty(), 1.0)


def test_the_bar_waits_two_seconds_then_shows_the_time_left():
    now = [0.0]
    bars = terminal._bars(Tty())
    bars.get_time = lambda: now[0]
    task = bars.add_task("check", total=100)
    for step in range(1, 100):
        now[0] = step * 0.1
        bars.advance(task)
        assert bool(list(bars.get_renderables())) == (now[0] >= 2.0), now[0]
    remaining = bars.tasks[0].time_remaining
    assert remaining is not None and remaining <= 1.0


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in terminal.report_text(example().report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.report_text(example().report))


def test_the_table_names_every_precision_and_why_it_lost():
    text = terminal.report_text(example().report)
    assert "\x1b" not in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    for row in example().report.engines:
        assert row.name in lines
    assert "fp16: fp16 would silently run as BF16 on this CPU; ask for bf16" in text
    assert lines["mixed"].split()[1] == "◀"
    assert re.search(r"int8 +\d\.\d\d \?.*fails", text)
    assert " ".join(text.split()).endswith("it passes gate 99.9.")


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.report_text(example().report))
    assert max(map(len, text.splitlines())) <= columns
    header = text.splitlines()[0]
    assert "Dice" in header and "gate" in header


def test_targets_latencies_and_layers():
    assert "cpu" in terminal.targets_text(targets().values())
    rows = {row.name: row.latency_ms for row in example().report.engines if row.latency_ms}
    text = terminal.latency_text(rows)
    assert "int8: CoV" in text and "1\u202f500" in text
    layers = terminal.layers_text(example().report.engine("mixed").layers, most=5)
    assert len(layers.splitlines()) == 7
    assert "| 0.5" not in terminal.scores_text({"dice": 0.5, "iou": 1 / 3})
    assert terminal.scores_text({"dice": 0.5, "iou": 1 / 3}).split()[-2:] == ["0.5000", "0.3333"]


def test_a_check_shows_pooled_scores_outline_distances_and_strata():
    row = example().report.engine("int8")
    assert row.accuracy is not None and row.accuracy.hd95 is not None
    text = terminal.accuracy_text([("int8", row.accuracy, row.gate)])
    line = next(line for line in text.splitlines() if f"{row.accuracy.dice.micro:.4f}" in line)
    assert line.split()[:4] == [
        "int8", f"{row.accuracy.dice.micro:.4f}", f"{row.accuracy.iou.micro:.4f}", f"{row.accuracy.hd95.mean:.2f}",
    ]  # fmt: skip
    assert "Intervals are drawn over 24 images" in text
    assert re.search(r"fluorescence +16 .* yes", text) and re.search(r"histology +8 .* no, under 10 images", text)


def test_on_a_real_terminal_the_line_is_left_clean():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream, terminal.Terminal(stream=stream) as shown:
        shown.stage("build", None)
        shown.stage("check", 3)
        shown.advance()
    written = ""
    try:
        while chunk := os.read(master, 65536):
            written += chunk.decode()
    except OSError:  # how Linux says that the other end is closed
        os.close(master)
    assert "\x1b[?25l" in written and written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
