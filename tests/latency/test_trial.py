"""The steps that every bench is asked, on a bench whose answers are tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge.latency.statistics import summarize
from edge.latency.trial import Effort, Refusal, Timed, build_each, check_each, choose
from edge.latency.winner import Contender


@dataclass(frozen=True)
class Graph:
    name: str


@dataclass
class TableBench:
    """Refuses ``odd`` when it is built and ``wrong`` when it is checked; ``fast`` takes 1 ms, ``tied`` as long."""

    calls: list[tuple[tuple[str, ...], Effort]] = field(default_factory=list)

    def build(self, candidate: Graph, folder: Path) -> str | Refusal:
        return Refusal(candidate.name, "int8", "no") if candidate.name == "odd" else f"{folder}"

    def check(self, candidate: Graph, standard: float, advance=lambda: None) -> float | Refusal:
        advance()
        return Refusal(candidate.name, "int8", "no run") if candidate.name == "wrong" else standard

    def times(self, candidates, inputs, effort):
        self.calls.append((tuple(one.name for one in candidates), effort))
        noise = np.random.default_rng(0)
        return [
            Timed(
                summarize([noise.normal(1.0 + 0.2 * (one.name == "tied"), 0.001, 5) for _ in range(20)], 1, {}),
                inputs[0],
            )
            for one in candidates
        ]


def test_what_is_refused_on_the_way_is_told_apart_from_what_is_checked() -> None:
    bench, told, steps = TableBench(), [], []
    built, unbuilt = build_each(bench, [Graph("a"), Graph("odd"), Graph("wrong")], Path("to"), lambda: steps.append(1))
    assert built == [(Graph("a"), "to/a"), (Graph("wrong"), "to/wrong")] and len(steps) == 3
    checked, unchecked = check_each(bench, built, 0.5, told=lambda *three: told.append(three))
    assert checked == [(Graph("a"), "to/a", 0.5)]
    assert [refusal.name for refusal in (*unbuilt, *unchecked)] == ["odd", "wrong"]
    assert told == [(Graph("a"), "to/a", 0.5), (Graph("wrong"), "to/wrong", unchecked[0])]


def contender(name: str, spread: float) -> tuple[Graph, Contender]:
    noise = np.random.default_rng(list(name.encode()))
    return Graph(name), Contender(name, [noise.normal(1.0, spread, 5) for _ in range(10)], 1.0, 1.0, 10)


def test_a_tie_is_timed_once_more_without_its_energy_and_only_then() -> None:
    bench = TableBench()
    assert choose([], bench, [np.zeros(1)], Effort(1.0, 5)) is None and bench.calls == []
    alone = choose([contender("fast", 0.001)], bench, [np.zeros(1)], Effort(1.0, 5))
    assert alone is not None and alone.winner == "fast" and bench.calls == []
    both = choose([contender("fast", 0.3), contender("tied", 0.3)], bench, [np.zeros(1)], Effort(1.0, 5))
    assert both is not None and both.winner == "fast", "the further rounds say that the other takes a fifth longer"
    ((names, effort),) = bench.calls
    assert set(names) == {"fast", "tied"} and effort == Effort(1.0, 5, energy=False)
    assert both.ratios["tied"].rounds == 30 and both.ratios["tied"].ratio == pytest.approx(1.19, abs=0.05)
