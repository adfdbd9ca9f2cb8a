"""Latency on the device, measured as on the workstation: warm-up until steady, every run timed, nothing thrown away."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Sequence

import numpy as np

from ..backends.compiler import Timing
from ..machine.machine import ROOT, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILE_METHOD = "sorted[max(n - 1 - floor((1 - p) n), 0)], no interpolation (as trtexec)"
_COV_LIMIT = _DRIFT_LIMIT = 0.025
_DRIFT_RUNS = 30
_FOREIGN_CORES = 0.10
_WINDOW_S, _WINDOW_RUNS, _STEADY_WINDOWS, _STEADY_SPREAD = 0.1, 3, 3, 0.03
_QUANTILES = 201


@dataclass(frozen=True)
class Measured:
    """A latency.

    Attributes:
        table: the ``latency_ms`` entry of a report.
        quantiles: 201 of them, milliseconds.
        seconds, runs: of the timed stretch, for energy.
    """

    table: dict[str, Any]
    quantiles: list[float]
    seconds: float
    runs: int


def measure(
    run: Callable[[], Timing], seconds: float, conditions: dict[str, Any], min_runs: int = 100, root: Path = ROOT
) -> Measured:
    """Time an engine.

    Args:
        run: one timed inference.
        seconds: time at least this long,
        conditions: recorded with the numbers,
        min_runs: and at least so often.
        root: where ``proc`` lies.
    """
    warm, steady = _warm_up(run, max(seconds, 1.0))
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    before = _cpu_seconds(root)
    start = time.perf_counter()
    try:
        times = _block(run, seconds, min_runs)
    finally:
        if was_on:
            gc.enable()
    wall = time.perf_counter() - start
    warnings = (
        [] if steady else [f"not steady: times still moved by over 3 % after {max(seconds, 1.0):.0f} s of warm-up"]
    )
    warnings += _foreign_load(before, _cpu_seconds(root), wall)
    samples = np.array([t.host for t in times], np.float64)
    parts = {name: float(np.median([t.parts[name] for t in times])) for name in times[0].parts}
    shown = {"percentiles": PERCENTILE_METHOD, **conditions, **({"parts_ms": parts} if parts else {})}
    levels = np.quantile(samples, np.linspace(0.0, 1.0, _QUANTILES))
    table = summarize(samples, warm, shown, warnings)
    return Measured(table, [round(float(v), 6) for v in levels], wall, len(times))


def summarize(
    samples: NDArray[np.float64], warmup: int, conditions: dict[str, Any], warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The ``latency_ms`` entry of a report from milliseconds in the order of the runs."""
    ordered, average = np.sort(samples), float(samples.mean())
    cov = float(samples.std() / average) if average > 0 else 0.0
    seen = [*_spread_warnings(samples, cov), *warnings]
    return {
        **{
            name: percentile(ordered, share)
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
        },
        "mean": average,
        "min": float(ordered[0]),
        "cov": cov,
        "n": len(samples),
        "warmup": warmup,
        "conditions": conditions,
        "trustworthy": not seen,
        "warnings": seen,
    }


def percentile(ordered: NDArray[np.float64], share: float) -> float:
    """The ``share`` percentile of ascending samples, by :data:`PERCENTILE_METHOD`."""
    n = len(ordered)
    return float(ordered[max(n - 1 - int(round((1.0 - share) * n, 9)), 0)])


def _warm_up(run: Callable[[], Timing], limit_s: float) -> tuple[int, bool]:
    medians: list[float] = []
    runs, start = 0, time.perf_counter()
    while True:
        window = _block(run, _WINDOW_S, _WINDOW_RUNS)
        runs += len(window)
        medians.append(float(np.median([t.host for t in window])))
        last = medians[-_STEADY_WINDOWS:]
        if len(last) == _STEADY_WINDOWS and max(last) <= min(last) * (1.0 + _STEADY_SPREAD):
            return runs, True
        if time.perf_counter() - start >= limit_s and len(last) == _STEADY_WINDOWS:
            return runs, False


def _block(run: Callable[[], Timing], seconds: float, min_runs: int) -> list[Timing]:
    times: list[Timing] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < min_runs:
        times.append(run())
    return times


def _spread_warnings(samples: NDArray[np.float64], cov: float) -> list[str]:
    warnings = []
    if cov > _COV_LIMIT:
        warnings.append(f"CoV {100 * cov:.1f} % is above {100 * _COV_LIMIT:g} %: run times scatter; fix the clocks")
    if len(samples) >= _DRIFT_RUNS:
        third = len(samples) // 3
        first, last = (float(np.median(part)) for part in (samples[:third], samples[-third:]))
        drift = last / first - 1.0 if first > 0 else 0.0
        if abs(drift) > _DRIFT_LIMIT:
            word = "slower" if drift > 0 else "faster"
            warnings.append(f"drift: the last third ran {100 * abs(drift):.1f} % {word} than the first")
    return warnings


def _cpu_seconds(root: Path) -> tuple[float, float]:
    """CPU seconds used by everything, and by this process."""
    fields = text(root / "proc/stat").split("\n", 1)[0].split()[1:8]
    own = os.times()
    if len(fields) < 7:
        return 0.0, own.user + own.system
    user, nice, system, _, _, irq, softirq = (int(value) for value in fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"), own.user + own.system


def _foreign_load(before: tuple[float, float], after: tuple[float, float], wall: float) -> list[str]:
    foreign = ((after[0] - before[0]) - (after[1] - before[1])) / max(wall, 1e-9)
    if wall < 0.5 or foreign <= _FOREIGN_CORES:
        return []
    return [f"foreign load: other processes used {foreign:.2f} cores meanwhile; stop them"]
