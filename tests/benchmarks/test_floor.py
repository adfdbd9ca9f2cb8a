"""An engine's distance from its floor is what the multiplications or the memory traffic take, round by round."""

from __future__ import annotations

import pytest

from benchmarks.floor import floors, summary
from edge.graph.macs import count_macs
from edge.latency.estimate import Peaks
from tests.fixtures.small_unet import small_unet


def test_a_floor_is_the_graphs_work_at_the_rate_of_its_precision() -> None:
    model = small_unet()
    peaks = Peaks({"fp32": 2e9, "int8": 8e9}, 1e9, "known")
    macs = count_macs(model)
    assert floors(model, "fp32", peaks)["compute_ms"] == pytest.approx(1e3 * macs / 1e9)
    assert floors(model, "mixed", peaks)["compute_ms"] == pytest.approx(1e3 * macs / 4e9), "as if all were in INT8"
    assert floors(model, "fp32", peaks)["memory_ms"] == pytest.approx(4 * floors(model, "int8", peaks)["memory_ms"])


def test_a_distance_is_the_median_of_the_rounds_and_says_how_far_they_ranged() -> None:
    rounds = [{"ms": ms, "distance": ms / floor} for ms, floor in ((10.0, 5.0), (14.0, 7.0), (9.0, 3.0))]
    found = summary(rounds)
    assert (found["ms"], found["distance"]) == (10.0, 2.0)
    assert (found["least_distance"], found["most_distance"]) == (2.0, 3.0)
