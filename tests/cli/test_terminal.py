"""Progress on the terminal, in a pipe and in a log file."""

from __future__ import annotations

import io
import os
import pty
import time
from pathlib import Path

import pytest

from edge.api.progress import Event, Reporter
from edge.cli import terminal
from edge.errors import InputError
from tests.fixtures.streams import Tty


class Hours:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


def play(stream: io.StringIO, seconds: float, **options) -> str:
    """One stage that takes so long by a made-up clock, and one message."""
    clock = Hours()
    with terminal.Terminal(stream=stream, clock=clock, **options) as shown:
        told = Reporter(shown, ("load", "calibrate"), clock=clock)
        told.stage("calibrate", 64)
        for _ in range(64):
            told.advance()
        told.say("64 images")
        told.detail("histograms of 120 tensors")
        clock.now += seconds
    return stream.getvalue()


def test_a_pipe_gets_messages_and_a_line_for_each_stage() -> None:
    assert play(io.StringIO(), 60) == "64 images\n[2/2] calibrate     1 min 0 s\n"
    assert play(io.StringIO(), 1) == "64 images\n", "what is over at once needs no progress"


def test_a_pipe_hears_of_a_long_stage_and_of_the_time_left() -> None:
    stream, clock = io.StringIO(), Hours()
    with terminal.Terminal(stream=stream, clock=clock, heartbeat=0.02) as shown:
        told = Reporter(shown, ("load", "fuse"), clock=clock)
        told.stage("fuse")
        told.remaining(32.0)
        time.sleep(0.1)
        assert stream.getvalue() == "", "a stage of no age has nothing to say yet"
        for passed, said in ((12, "12 s, about 20 s left"), (28, "40 s, nearly done")):
            clock.now += passed
            end = time.monotonic() + 120
            while said not in stream.getvalue() and time.monotonic() < end:
                time.sleep(0.01)
            assert said in stream.getvalue()
    assert stream.getvalue().splitlines()[0].split("  ", 1)[0] == "[2/2] fuse"


def test_quiet_says_nothing() -> None:
    assert play(io.StringIO(), 60, quiet=True) == ""
    assert play(Tty(), 60, quiet=True) == ""


def test_verbose_says_more() -> None:
    assert play(io.StringIO(), 1, verbose=True) == "64 images\nhistograms of 120 tensors\n"


def test_a_log_file_gets_everything_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "edge.log"
    assert play(io.StringIO(), 1, quiet=True, log_file=str(path)) == ""
    texts = [line.partition(" ")[2] for line in path.read_text().splitlines()]
    assert texts == ["64 images", "histograms of 120 tensors", "[2/2] calibrate     1.0 s"]
    assert path.read_text()[:2] == "20"
    with pytest.raises(InputError, match=r"--log-file .*absent/edge\.log: cannot be written"):
        terminal.Terminal(log_file=str(tmp_path / "absent" / "edge.log"))


def test_a_terminal_is_told_how_long_a_slow_stage_took() -> None:
    assert "[2/2] calibrate     1 min 0 s" in play(Tty(), 60)
    assert "1.0 s" not in play(Tty(), 1.0)


def test_the_pipeline_may_speak_to_it_itself() -> None:
    stream = io.StringIO()
    with terminal.Terminal(stream=stream) as shown:
        shown.stage("build", 2)
        shown.advance()
        shown.say("half")
    assert stream.getvalue() == "half\n"


def test_the_bar_waits_two_seconds_then_shows_the_time_left() -> None:
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


def test_on_a_real_terminal_the_line_is_left_clean() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream, terminal.Terminal(stream=stream) as shown:
        shown(Event("stage", "build"))
        shown(Event("stage", "check", total=3))
        shown(Event("step", "check", done=1, total=3))
    written = ""
    try:
        while chunk := os.read(master, 65536):
            written += chunk.decode()
    except OSError:  # how Linux says that the other end is closed
        os.close(master)
    assert "\x1b[?25l" in written and written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
