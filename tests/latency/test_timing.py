"""A clock that only moves when the timed call says so: nothing here depends on this machine's speed."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from edge.latency import timing
from edge.latency.timing import interleave, measure, ratio, timed_seconds, warm_up


class Clock:
    """Stands in for ``time``: seconds, moved by calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        fake = SimpleNamespace(perf_counter_ns=lambda: self.now_ns, perf_counter=lambda: self.now_ns / 1e9)
        monkeypatch.setattr(timing, "time", fake)

    def call(self, *milliseconds: float, log: list[str] | None = None, name: str = ""):
        """A call that takes these times in turn, then the last one forever."""
        times = list(milliseconds)

        def run() -> None:
            if log is not None:
                log.append(name)
            self.now_ns += int(1e6 * (times.pop(0) if len(times) > 1 else times[0]))

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_warm_up_ends_when_three_windows_agree(clock: Clock) -> None:
    # 0.1 s windows of 10 ms runs, after 20 slow first runs.
    warmup = warm_up(clock.call(*[50.0 - i for i in range(20)], 10.0), limit_s=30)
    assert warmup.steady
    assert 20 + 20 <= warmup.runs <= 20 + 40


def test_warm_up_gives_up_and_says_so(clock: Clock) -> None:
    slower = clock.call(*[10 * 1.01**i for i in range(600)])
    assert not warm_up(slower, limit_s=3).steady
    measured = measure(clock.call(*[10 * 1.01**i for i in range(400)]), seconds=1, min_runs=1)
    assert not measured.trustworthy
    assert measured.warnings[0].startswith("drift") or "not steady" in " ".join(measured.warnings)


def test_a_slow_network_is_warmed_by_few_runs(clock: Clock) -> None:
    warmup = warm_up(clock.call(1000.0), limit_s=1)
    assert (warmup.runs, warmup.steady) == (9, True)


def test_measure_lasts_so_many_seconds_and_runs(clock: Clock) -> None:
    by_time = measure(clock.call(10.0), seconds=2, min_runs=5)
    assert by_time.n == 200
    assert (by_time.p50, by_time.min, by_time.cov) == (10.0, 10.0, 0.0)
    by_runs = measure(clock.call(10.0), seconds=0.1, min_runs=150)
    assert by_runs.n == 150


def test_warm_up_runs_are_not_timed(clock: Clock) -> None:
    measured = measure(clock.call(500.0, 500.0, 10.0), seconds=1, min_runs=1)
    assert measured.samples_ms.max() == 10.0
    assert measured.warmup >= 2


def test_each_timed_second_is_told_and_never_more_than_were_announced(clock: Clock) -> None:
    told: list[float] = []
    interleave(
        {"a": clock.call(50.0), "b": clock.call(70.0)}, seconds=2.0, min_runs=100, advance=lambda: told.append(1)
    )
    assert len(told) == timed_seconds(2.0, 2) == 4


def test_conditions_are_recorded(clock: Clock) -> None:
    measured = measure(clock.call(10.0), seconds=0.1, min_runs=1, conditions={"threads": 2, "timed_region": "compute"})
    assert measured.conditions["threads"] == 2
    assert measured.conditions["timed_region"] == "compute"
    assert {"affinity", "percentiles", "warmup_seconds"} <= set(measured.conditions)
    assert measured.conditions["at_least"] == "0.1 s and 1 runs"
    assert measured.conditions["steady"] is True


def test_the_garbage_collector_is_off_while_timing_and_on_again_after(clock: Clock) -> None:
    seen: list[bool] = []
    call = clock.call(10.0)
    measure(lambda: (call(), seen.append(gc.isenabled())), seconds=0.5, min_runs=1)
    assert seen[-1] is False
    assert gc.isenabled()


def test_gc_comes_back_after_a_failure(clock: Clock) -> None:
    call, calls = clock.call(10.0), []

    def fails() -> None:
        call()
        calls.append(1)
        if len(calls) > 40:
            raise RuntimeError("device lost")

    with pytest.raises(RuntimeError):
        measure(fails, seconds=9, min_runs=1)
    assert gc.isenabled()


def test_interleaving_alternates_order_and_pairs_blocks(clock: Clock) -> None:
    log: list[str] = []
    runs = {"a": clock.call(30.0, log=log, name="a"), "b": clock.call(20.0, log=log, name="b")}
    results = interleave(runs, seconds=1.0, min_runs=10)
    assert list(results) == ["a", "b"]
    assert len(results["a"].blocks) == len(results["b"].blocks) >= 10
    assert all(r.samples_ms.sum() >= 1000 and r.n >= 10 for r in results.values())
    assert ratio(results["a"].blocks, results["b"].blocks).ratio == 1.5
    assert results["a"].conditions["interleaved_with"] == ["b"]
    order = [name for i, name in enumerate(log) if i == 0 or log[i - 1] != name]
    # a, b | b, a | a, b ...: neighbours of equal name merge, so the names alternate strictly.
    assert order[:6] == ["a", "b", "a", "b", "a", "b"]


def test_the_first_run_of_each_block_is_not_counted(clock: Clock) -> None:
    state = {"last": ""}

    def make(name: str):
        def run() -> None:
            clock.now_ns += int(1e6 * (10 if state["last"] == name else 99))
            state["last"] = name

        return run

    results = interleave({"a": make("a"), "b": make("b")}, seconds=0.5, min_runs=5)
    assert results["a"].samples_ms.max() == 10.0
    assert results["b"].samples_ms.max() == 10.0


def test_a_budget_ends_a_trial_whatever_else_was_asked_for(clock: Clock) -> None:
    results = interleave({"a": clock.call(50.0), "b": clock.call(80.0)}, 1.0, 100, most_seconds=3.0)
    # Three warm-up windows of 0.1 s each; then rounds of a first run and a block each, none begun that would not end.
    assert 2.2 < clock.now_ns / 1e9 <= 3.0
    assert len(results["a"].blocks) == len(results["b"].blocks) >= 3
    clock.now_ns = 0
    results = interleave({"a": clock.call(9000.0)}, 1.0, 100, most_seconds=3.0)
    assert len(results["a"].blocks) == 1 and clock.now_ns == 5 * 9_000_000_000


def test_what_fills_a_block_by_itself_is_run_once_a_round(clock: Clock) -> None:
    log: list[str] = []
    results = interleave({"a": clock.call(250.0, log=log, name="a")}, seconds=1.0, min_runs=20)
    assert results["a"].n == 20 and len(log) == results["a"].warmup + 1 + 20
