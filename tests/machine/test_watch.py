from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edge.machine.watch import Snapshot, differences, snapshot, watched

BEFORE = Snapshot(at=0.0, busy=100.0, own=10.0, stolen=0.0, clock_mhz=3000.0, throttled=5)
QUIET = replace(BEFORE, at=10.0, busy=120.0, own=30.0)


def test_own_work_is_not_foreign() -> None:
    assert differences(BEFORE, QUIET) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"busy": 125.0}, "foreign load: other processes used 0.50 cores"),
        ({"stolen": 10.0}, "stolen time: the hypervisor took"),
        ({"clock_mhz": 2700.0}, "clock drift: cores went from 3000 to 2700 MHz"),
        ({"throttled": 7}, "throttling: cores were slowed by heat 2 times"),
    ],
)
def test_each_disturbance_is_named(changes: dict[str, float], sentence: str) -> None:
    (warning,) = differences(BEFORE, replace(QUIET, **changes))
    assert warning.startswith(sentence)


def test_what_the_system_does_not_say_is_no_warning() -> None:
    silent = {"clock_mhz": None, "throttled": None}
    assert differences(replace(BEFORE, **silent), replace(QUIET, **silent)) == ()


def test_a_short_look_says_nothing_of_load() -> None:
    assert differences(BEFORE, replace(BEFORE, at=0.1, busy=101.0)) == ()


def test_snapshot_reads_clocks_and_throttle_counts(tmp_path: Path) -> None:
    for cpu, clock, throttled in (("cpu0", "2500000", "3"), ("cpu1", "3500000", "4"), ("cpu2", "<unknown>", "x")):
        folder = tmp_path / "sys/devices/system/cpu" / cpu
        (folder / "cpufreq").mkdir(parents=True)
        (folder / "thermal_throttle").mkdir()
        (folder / "cpufreq/scaling_cur_freq").write_text(clock + "\n")
        (folder / "thermal_throttle/core_throttle_count").write_text(throttled + "\n")
    seen = snapshot(tmp_path)
    assert seen.clock_mhz == 3000.0
    assert seen.throttled == 7
    nothing = snapshot(tmp_path / "elsewhere")
    assert (nothing.clock_mhz, nothing.throttled) == (None, None)


def test_own_time_counts_this_process() -> None:
    before = snapshot()
    end = psutil.Process().cpu_times().user + 0.2
    while psutil.Process().cpu_times().user < end:
        sum(range(10_000))
    assert snapshot().own - before.own >= 0.19  # counted in 0.01 s


def test_watched_collects() -> None:
    warnings: list[str] = []
    with watched(warnings):
        pass
    assert warnings == []
