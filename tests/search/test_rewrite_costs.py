"""What rewritten graphs cost: remembered where nothing disturbed it, and asked of INT8 graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.backends.engine import Candidate
from edge.fusion.driver import rewritten
from edge.graph.model import Model, quantized
from edge.latency.statistics import summarize
from edge.quantization.graph import quantizable
from edge.quantization.schemes import SCHEMES
from edge.search.bench import Effort, Refusal, Timed
from edge.search.cache import MeasurementCache
from edge.search.deadline import Deadline
from edge.search.dialect import PlainDialect
from edge.search.rewrite_costs import FloatCost, Int8Cost, RememberedCosts, extremes
from tests.fixtures.small_unet import images, small_unet


class Bench:
    """Takes a millisecond a node, and adds noise to the outputs of every graph after the first."""

    trial_dialect = PlainDialect(SCHEMES["openvino"])

    def __init__(self, noise: float = 0.0, refused: int | None = None) -> None:
        self.noise, self.refused = noise, refused
        self.seen: list[Candidate] = []
        self.most_seconds: float | None = None

    def times(self, candidates: Sequence[Candidate], inputs: Any, effort: Effort) -> list[Timed | Refusal]:
        self.seen, self.most_seconds = list(candidates), effort.most_seconds
        outputs = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
        return [
            Refusal(c.name, c.precision, "no")
            if at == self.refused
            else Timed(
                summarize([np.array([float(len(c.model.proto.graph.node))])] * 5, 0, {}),
                outputs + (self.noise if at else 0.0),
            )
            for at, c in enumerate(candidates)
        ]


def _cost(bench: Any, monkeypatch: pytest.MonkeyPatch) -> FloatCost:
    exact = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8) + 1e-4
    monkeypatch.setattr("edge.search.rewrite_costs.reference", lambda model: _Reference(exact))
    return FloatCost(small_unet(), "fp32", bench, images(1), Deadline.after(100.0, lambda: 0.0))


class _Reference:
    def __init__(self, outputs: np.ndarray) -> None:
        self.outputs = outputs

    def run(self, image: np.ndarray) -> np.ndarray:
        return self.outputs


def test_decibels_that_a_rewrite_loses_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_unet()
    exact, lossy = Bench(), Bench(noise=1e-2)
    assert _cost(exact, monkeypatch)([model, model]) == [27.0, 27.0]
    source, other = _cost(lossy, monkeypatch)([model, model])
    # From 1e-4 off to 1e-2 off: 40 dB, of which 1.5 are tolerated, at a fifth of the time each.
    assert source == 27.0 and other == pytest.approx(27.0 * (1 + 0.2 * 38.5), rel=0.02)
    assert exact.most_seconds == 50.0


@pytest.mark.parametrize(("noise", "missing_db"), [(1e-3, 0.0), (1e-2, 4.1), (1e-1, 24.9)])
def test_int8_is_timed_and_a_decibel_that_is_missing_costs_two_percent(
    noise: float, missing_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first graph is a hundred decibels exact, which nobody needs: 40 are asked of the second."""
    bench: Any = Bench(noise=noise, refused=2)
    exact = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    monkeypatch.setattr("edge.search.rewrite_costs.reference", lambda model: _Reference(exact + 1e-6))
    cost = Int8Cost(small_unet(), "fp32", bench, images(2), Deadline.after(100.0, lambda: 0.0))
    model = small_unet()
    first, second, third = cost([model, model, model])
    assert first == len(bench.seen[0].model.proto.graph.node) > 27 and third == float("inf")
    signal_db = 10 * np.log10(np.square(exact).mean() / noise**2)
    assert max(0.0, 40.0 - signal_db) == pytest.approx(missing_db, abs=1.0)
    assert second == pytest.approx(first * (1 + 0.02 * max(0.0, 40.0 - signal_db)), rel=0.01)
    assert all(quantized(one.model.proto) and one.rest == "fp32" for one in bench.seen)


def test_extremes_are_those_of_one_image() -> None:
    model, (image,) = small_unet(), images(1)
    found = extremes(model, image)
    assert set(found.tensors) == set(quantizable(model)) and found.images == 1
    first = found[model.input_name]
    assert (first.low, first.high) == (float(image.min()), float(image.max()))
    assert all(one.coarse.amax == max(-one.low, one.high) for one in found.tensors.values())


def test_a_graph_that_was_timed_undisturbed_is_not_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def cost(models: Sequence[Model]) -> list[float]:
        asked.append(len(models))
        return [4.0, 6.0][: len(models)]

    source = small_unet()
    other, _ = rewritten(source, ("concat-conv-as-sum",))
    for busy, times in (("foreign load", 1), ("", 2), ("", 2)):
        warnings = [busy] if busy else []
        monkeypatch.setattr("edge.machine.watch.differences", lambda *_, told=tuple(warnings): told)
        found = RememberedCosts(cost, MeasurementCache(None, {"a": 1}, tmp_path))([source, other])
        assert len(asked) == times
        assert found == [1.0, 1.5]
