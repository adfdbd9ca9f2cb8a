"""Times a board's engines in turn, with its power, clocks and temperatures beside every figure."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

from ..backends.runner import Runner
from ..latency.statistics import Measured
from ..latency.timing import compute_runs, interleave
from ..machine.machine import ROOT, read_machine
from ..machine.rails import IDLE_S, Meter, Power, energy, find_rails

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_POWER_S = 5.0


def time_runners(
    runners: Mapping[str, Runner],
    image: NDArray[np.float32],
    seconds: float,
    min_runs: int,
    idle: Power | None,
    root: Path = ROOT,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Measured]:
    """Time loaded engines in turn on one image, then what each draws.

    Args:
        runners: name to engine.
        image: ``[1, channels, height, width]`` float32.
        seconds, min_runs: of each, both at least.
        idle: what the board draws at rest, from :func:`measure_idle`; None where it has no monitors.
        root: where ``proc`` and ``sys`` lie.
        advance: called for each second that was timed.
    """
    if not runners:
        return {}
    before = hottest(root)
    runs, conditions = compute_runs(runners, image)
    measured = interleave(runs, seconds, min_runs, conditions, advance, root)
    machine = read_machine(root)
    shared = {
        "power_mode": machine.power_mode,
        "clocks_fixed": machine.clocks_fixed,
        "hottest_before": before,
        "hottest_after": hottest(root),
        "seconds": seconds,
    }
    return {
        name: replace(
            one, conditions={**one.conditions, **shared, "power": _measure_power(runs[name], seconds, idle, root)}
        )
        for name, one in measured.items()
    }


def measure_idle(root: Path = ROOT) -> Power | None:
    """What the board draws at rest; None where it has no monitors."""
    rails = find_rails(root)
    if not rails:
        return None
    with Meter(rails) as meter:
        time.sleep(IDLE_S)
    return meter.power()


def hottest(root: Path = ROOT) -> float | None:
    """Degrees Celsius of the hottest zone; None where the board does not say."""
    return max((degrees for _, degrees in read_machine(root).temperatures), default=None)


def _measure_power(run: Callable[[], object], seconds: float, idle: Power | None, root: Path) -> dict[str, Any] | None:
    """What one engine draws running back to back; None where the board has no monitors."""
    if idle is None:
        return None
    runs, start = 0, time.perf_counter()
    with Meter(find_rails(root)) as meter:
        while time.perf_counter() - start < min(seconds, _LONGEST_POWER_S) or not runs:
            run()
            runs += 1
        spent = time.perf_counter() - start
    return energy(idle, meter.power(), spent, runs)
