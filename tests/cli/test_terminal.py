"""Progress on the terminal."""

from __future__ import annotations

import io
import os
import pty

from edge.cli import terminal
from tests.fixtures.streams import Tty


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
