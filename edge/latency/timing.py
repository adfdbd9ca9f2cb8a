"""Latency of one call, measured so that the number can be defended.

Warm-up lasts until the times are steady, not a fixed count. Then runs are timed one by one, for at least so many
seconds *and* runs, back to back, with the garbage collector off. Several engines are interleaved block by block: the
only honest comparison on a machine that others share.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..backends.runner import Timing
from ..machine.cores import affinity
from ..machine.heap import uncollected
from ..machine.machine import ROOT
from ..machine.watch import watched
from .race import LEAST_ROUNDS, Equal, Race
from .statistics import Latency, Measured, Ratio, ratio, summarize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..backends.runner import Runner
    from .statistics import Samples

    Conditions = dict[str, Mapping[str, Any]]
    Parts = dict[str, list[float]]

__all__ = ["Latency", "Measured", "Ratio", "interleave", "measure", "ratio"]

Run = Callable[[], object]

MIN_RUNS = 100
"""Fewest timed runs: p99 is then at least a rank of its own."""

TIMED_REGION = "host array in, host array out"
"""What one timed run of an engine is."""

_WINDOW_S = 0.1
_WINDOW_RUNS = 3
_STEADY_WINDOWS = 3
_STEADY_SPREAD = 0.03
_SHORTEST_WARMUP_S = 1.0


@dataclass(frozen=True)
class Warmup:
    """Untimed runs before the timed ones.

    Attributes:
        runs, seconds: how many, how long.
        steady: the medians of the last three windows lay within 3 %.
    """

    runs: int
    seconds: float
    steady: bool


def measure(
    run: Run, seconds: float = 10.0, min_runs: int = MIN_RUNS, conditions: Mapping[str, Any] | None = None
) -> Measured:
    """Time one call until it is steady and known.

    Args:
        run: does the work and returns when it is done (devices synchronized); where it returns a :class:`Timing`, that
            is taken instead of the clock round the call.
        seconds: time at least this long,
        min_runs: and at least so often.
        conditions: recorded with the numbers (threads, precision_hint, timed_region, ...).
    """
    warmup = warm_up(run, max(seconds, _SHORTEST_WARMUP_S))
    warnings: list[str] = []
    parts: Parts = {}
    gc.collect()
    with uncollected(), watched(warnings):
        block = _block(run, seconds, min_runs, parts)
    shown = _conditions(conditions, warmup, Equal(seconds, min_runs), parts)
    return summarize([block], warmup.runs, shown, _warnings(warmup, warnings))


def compute_runs(runners: Mapping[str, Runner], image: NDArray[np.float32]) -> tuple[dict[str, Run], Conditions]:
    """The timed run of each engine and what is recorded with it, for :func:`interleave`: on any machine the same.

    Args:
        runners: name to a loaded engine.
        image: ``[1, channels, height, width]`` float32.
    """
    runs: dict[str, Run] = {name: partial(runner.time, image) for name, runner in runners.items()}
    shared = {"batch": len(image), "timed_region": TIMED_REGION}
    return runs, {name: {**runner.conditions(), **shared} for name, runner in runners.items()}


def interleave(
    runs: Mapping[str, Run],
    seconds: float = 10.0,
    min_runs: int = MIN_RUNS,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
    advance: Callable[[], object] = lambda: None,
    root: Path = ROOT,
    undecided_seconds: float | None = None,
    most_seconds: float | None = None,
) -> dict[str, Measured]:
    """Time several calls in turn, block by block, in alternating order.

    A block lasts about 0.1 s; its first run, which finds another engine's data in the caches, is not counted, but where
    a single run lasts longer than that, and the caches are the least of it. Compare the results with :func:`ratio` on
    their ``blocks``.

    Args:
        runs: name to call, as for :func:`measure`.
        seconds: at least this much timed for each,
        min_runs: and at least so many runs for each, and ten rounds.
        conditions: name to what is recorded with it.
        advance: called for each second that was timed, between blocks; :func:`timed_seconds` says how often.
        root: where ``proc`` and ``sys`` lie.
        undecided_seconds: makes it a :class:`~.race.Race`: the clearly slower leave early, so that they have fewer
            blocks than the others, and those that tie are timed on, up to so many seconds each.
        most_seconds: of the clock, warm-up and all, whatever else was asked for: a trial that a budget pays for. At
            least one round is timed; warm-up is as short as can be.
    """
    told, start = 0, time.perf_counter()
    rule = Equal(seconds, min_runs) if undecided_seconds is None else Race(seconds, min_runs, undecided_seconds)
    window = min(_WINDOW_S, seconds / LEAST_ROUNDS)
    limits = (max(seconds, _SHORTEST_WARMUP_S), window) if most_seconds is None else (0.0, window, 1)
    warmups = {name: warm_up(run, *limits) for name, run in runs.items()}
    blocks: dict[str, list[Samples]] = {name: [] for name in runs}
    parts: dict[str, Parts] = {name: {} for name in runs}
    warnings: list[str] = []
    gc.collect()
    with uncollected(), watched(warnings, root):
        racing = tuple(runs)
        for turn in count():
            began = time.perf_counter()
            for name in racing[:: 1 if turn % 2 == 0 else -1]:
                if not _fills_a_block(blocks[name]):
                    runs[name]()
                blocks[name].append(_block(runs[name], window, 1, parts[name]))
            told = _tell(advance, told, min(timed_seconds(seconds, len(runs)), _spent(blocks)))
            racing = rule.running(blocks)
            now = time.perf_counter()
            if not racing or (most_seconds is not None and now - start + (now - began) > most_seconds):
                break
    return {
        name: summarize(
            blocks[name],
            warmups[name].runs,
            {
                **_conditions((conditions or {}).get(name), warmups[name], rule, parts[name]),
                "interleaved_with": [other for other in runs if other != name],
            },
            _warnings(warmups[name], warnings),
        )
        for name in runs
    }


def warm_up(run: Run, limit_s: float, window_s: float = _WINDOW_S, least_runs: int = _WINDOW_RUNS) -> Warmup:
    """Run until three windows (each so long, of so many runs or more) have medians within 3 %, or to the limit."""
    medians: list[float] = []
    runs, start = 0, time.perf_counter()
    while True:
        window = _block(run, window_s, least_runs, {})
        runs += len(window)
        medians.append(float(np.median(window)))
        last, spent = medians[-_STEADY_WINDOWS:], time.perf_counter() - start
        if len(last) == _STEADY_WINDOWS and max(last) <= min(last) * (1.0 + _STEADY_SPREAD):
            return Warmup(runs, spent, True)
        if spent >= limit_s and len(last) == _STEADY_WINDOWS:
            return Warmup(runs, spent, False)


def _block(run: Run, seconds: float, min_runs: int, parts: Parts) -> Samples:
    """Milliseconds of each run, back to back; what runs tell of their parts is added to ``parts``."""
    times: list[float] = []
    clock = time.perf_counter_ns
    end = clock() + int(seconds * 1e9)
    now = clock()
    while now < end or len(times) < min_runs:
        start = clock()
        told = run()
        now = clock()
        times.append(told.host if isinstance(told, Timing) else (now - start) / 1e6)
        for name, milliseconds in told.parts.items() if isinstance(told, Timing) else ():
            parts.setdefault(name, []).append(milliseconds)
    return np.array(times, np.float64)


def timed_seconds(seconds: float, engines: int) -> int:
    """Whole seconds that :func:`interleave` times, for whoever shows how far it is; at least 1."""
    return max(1, int(seconds * engines))


def _fills_a_block(series: Sequence[Samples]) -> bool:
    return bool(series) and float(series[-1][0]) >= 1e3 * _WINDOW_S


def _spent(blocks: Mapping[str, Sequence[Samples]]) -> int:
    return int(sum(float(block.sum()) for series in blocks.values() for block in series) / 1e3)


def _tell(advance: Callable[[], object], told: int, spent: int) -> int:
    for _ in range(told, spent):
        advance()
    return max(told, spent)


def _conditions(given: Mapping[str, Any] | None, warmup: Warmup, rule: Equal | Race, parts: Parts) -> dict[str, Any]:
    medians = {name: float(np.median(times)) for name, times in parts.items()}
    return {
        **({"parts_ms": medians} if medians else {}),
        "affinity": affinity(),
        **(given or {}),
        "at_least": rule.sentence(),
        "steady": warmup.steady,
        "warmup_seconds": round(warmup.seconds, 3),
    }


def _warnings(warmup: Warmup, seen: list[str]) -> list[str]:
    if warmup.steady:
        return seen
    return [f"not steady: times still moved by over 3 % after {warmup.seconds:.1f} s of warm-up", *seen]
