"""Whatever times is alone on its machine; the rest goes on side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.api.progress import Event
from edge.scale.quiet import side_by_side

PATIENCE = 120.0
"""Seconds in which what may begin does so, on a busy machine too."""


def reached(path: Path, stage: str, timeout: float) -> tuple[threading.Event, threading.Thread]:
    """Another deployment that tries to begin a stage; the event is set once it has."""
    there = threading.Event()

    def work() -> None:
        with side_by_side(path) as listen:
            listen(Event("stage", stage))
            there.set()

    thread = threading.Thread(target=work)
    thread.start()
    there.wait(timeout)
    return there, thread


def test_one_times_at_a_time_and_nothing_runs_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with side_by_side(path) as listen:
        listen(Event("stage", "check"))
        beside, first = reached(path, "calibrate", PATIENCE)
        assert beside.is_set()
        first.join()
        listen(Event("stage", "profile"))
        calculating, second = reached(path, "check", 0.3)
        timing, third = reached(path, "search", 0.3)
        assert not calculating.is_set() and not timing.is_set()
        listen(Event("step", "profile"))
        assert not timing.is_set()
        listen(Event("stage", "report"))
        assert calculating.wait(PATIENCE)
        second.join()
    assert timing.wait(PATIENCE)
    third.join()


@pytest.mark.parametrize("stage", ["search", "profile", "pixels"])
def test_what_times_waits_for_what_calculates(tmp_path: Path, stage: str) -> None:
    with side_by_side(tmp_path / "lock") as listen:
        listen(Event("stage", "check"))
        timing, thread = reached(tmp_path / "lock", stage, 0.2)
        assert not timing.is_set()
    assert timing.wait(PATIENCE)
    thread.join()
