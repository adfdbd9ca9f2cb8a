"""Which float precisions pay: a race of the source graph, with made-up times."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.backends.engine import Candidate
from edge.latency.statistics import summarize
from edge.quantization.schemes import SCHEMES
from edge.search.bench import Effort, Refusal, Timed
from edge.search.deadline import Deadline
from edge.search.dialect import PlainDialect
from edge.search.floats import FloatRace, floats_of, race_floats
from tests.fixtures.small_unet import images, small_unet


class Bench:
    """Takes so many milliseconds in each precision, 2 s to build and time one; refuses what is not named."""

    measured = True
    trial_dialect = PlainDialect(SCHEMES["openvino"])

    def __init__(self, **milliseconds: float) -> None:
        self.milliseconds, self.now = milliseconds, 0.0
        self.efforts: list[Effort] = []

    def refusal(self, precision: str) -> str | None:
        return None if precision in self.milliseconds else "no such arithmetic"

    def times(self, candidates: Sequence[Candidate], inputs: Any, effort: Effort) -> list[Timed | Refusal]:
        self.efforts.append(effort)
        self.now += 2.0 * len(candidates)
        found = [summarize([np.array([self.milliseconds[c.rest]])] * 5, 0, {}) for c in candidates]
        return [Timed(compute, np.empty(0, np.float32)) for compute in found]


def _race(bench: Any, names: Sequence[str] = ("fp32", "bf16", "fp16"), seconds: float = 100.0) -> FloatRace:
    deadline = Deadline.after(seconds, lambda: bench.now)
    return race_floats(small_unet(), bench, floats_of(bench, names), images(1), deadline)


def test_a_precision_that_is_listed_and_slow_is_left_out_and_says_by_how_much() -> None:
    found = _race(Bench(fp32=10.0, bf16=19.0))
    assert found.fastest == "fp32" and found.ratios == {"fp32": 1.0, "bf16": pytest.approx(1.9)}
    assert list(found.slow) == ["bf16"] and found.slow["bf16"].startswith("takes 1.9 times as long as fp32")
    assert found.seconds_each == 2.0


def test_fp32_stays_where_it_is_the_slow_one() -> None:
    found = _race(Bench(fp32=10.0, bf16=4.0, fp16=4.2))
    assert found.fastest == "bf16" and found.slow == {}


def test_one_precision_needs_no_race_and_a_race_costs_a_twentieth_of_the_budget() -> None:
    alone, both = Bench(fp32=10.0), Bench(fp32=10.0, bf16=10.0)
    assert _race(alone).fastest == "fp32" and alone.efforts == []
    _race(both, seconds=30.0)
    assert both.efforts[0].most_seconds == pytest.approx(1.5)
    assert _race(both, seconds=0.0).ratios == {"fp32": 1.0} and len(both.efforts) == 1


def test_what_cannot_be_had_is_not_asked_for() -> None:
    assert floats_of(Bench(fp32=1.0, bf16=1.0), ("int8", "bf16")) == ("bf16",)
    assert floats_of(SimpleNamespace(refusal=lambda name: "no"), ("int8",)) == ("fp32",)  # type: ignore[arg-type]
