"""A race: the clearly slower leave, ties go on, and everybody's rounds still pair."""

from __future__ import annotations

import numpy as np

from edge.latency.race import LEAST_ROUNDS, MARGIN, Equal, Race, relative_to_fastest
from edge.latency.statistics import paired, summarize

SEED = 5


def run_race(race: Race | Equal, milliseconds: dict[str, float], noise: float = 0.002) -> dict[str, list[np.ndarray]]:
    """Blocks of four runs each, round by round, for as long as the race lets each run."""
    rng = np.random.default_rng(SEED)
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in milliseconds}
    running = tuple(milliseconds)
    while running:
        for name in running:
            blocks[name].append(milliseconds[name] * (1.0 + noise * rng.standard_normal(4)))
        running = race.running(blocks)
    return blocks


def test_who_is_clearly_slower_leaves_at_the_first_look_and_the_fastest_has_all_its_runs() -> None:
    blocks = run_race(Race(1.0, 100, 3.0), {"int8": 10.0, "bf16": 14.0, "fp32": 30.0})
    assert (len(blocks["bf16"]), len(blocks["fp32"])) == (5, 5)
    assert sum(map(len, blocks["int8"])) >= 100
    assert paired(blocks["fp32"], blocks["int8"]).ratio == paired(blocks["fp32"], blocks["int8"][:5]).ratio


def test_what_is_slower_by_less_than_the_margin_stays_to_the_end() -> None:
    blocks = run_race(Race(1.0, 100, 3.0), {"a": 10.0, "b": 10.0 * (1 + MARGIN / 2)})
    assert len(blocks["a"]) == len(blocks["b"]) >= LEAST_ROUNDS


def test_on_a_busy_machine_who_is_far_slower_leaves_at_the_second_look() -> None:
    """Its interval stays wide; its ratio does not."""
    blocks = run_race(Race(1.0, 100, 3.0), {"int8": 10.0, "fp32": 30.0}, noise=0.6)
    assert len(blocks["fp32"]) <= 7 < len(blocks["int8"])


def test_an_open_tie_goes_on_to_its_limit_and_a_decided_one_does_not() -> None:
    quiet = run_race(Race(0.5, 40, 4.0), {"a": 10.0, "b": 10.0}, noise=0.001)
    loud = run_race(Race(0.5, 40, 4.0), {"a": 10.0, "b": 10.0}, noise=0.2)
    spent = [sum(float(block.sum()) for block in blocks["a"]) / 1e3 for blocks in (quiet, loud)]
    assert spent[0] < 1.5 and spent[1] >= 4.0


def test_a_slow_engine_has_ten_runs_before_it_leaves() -> None:
    def one_run_a_block() -> dict[str, list[np.ndarray]]:
        blocks: dict[str, list[np.ndarray]] = {"int8": [], "fp32": []}
        running: tuple[str, ...] = ("int8", "fp32")
        while running:
            for name in running:
                blocks[name].append(np.array([100.0 if name == "int8" else 300.0]))
            running = Race(1.0, 20, 2.0).running(blocks)
        return blocks

    assert len(one_run_a_block()["fp32"]) >= 10


def test_equal_times_everybody_as_long() -> None:
    blocks = run_race(Equal(1.0, 100), {"a": 10.0, "b": 30.0})
    assert len(blocks["a"]) == len(blocks["b"]) and sum(map(len, blocks["a"])) >= 100


def test_who_left_early_is_told_against_the_fastest_in_the_rounds_they_shared() -> None:
    quiet, loaded = np.full(4, 10.0), np.full(4, 20.0)  # the machine slows down after the second round
    stayed = summarize([quiet, quiet, loaded, loaded, loaded], 0, {})
    left = summarize([1.5 * quiet, 1.5 * quiet], 0, {})
    milliseconds = relative_to_fastest([left, stayed])
    assert left.p50 < stayed.p50  # which says that it is the faster one
    assert (milliseconds(stayed), milliseconds(left)) == (stayed.p50, 1.5 * stayed.p50)
