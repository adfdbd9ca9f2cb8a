"""Histograms: exact merging, order independence, and clips that match what a brute-force search says."""

from __future__ import annotations

import numpy as np
import pytest

from edge.quantization.clipping import METHODS, squared_error
from edge.quantization.histogram import HALF, SAMPLE, Histogram


def _filled(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.update(part.astype(np.float32))
    return histogram


def test_order_of_images_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    parts = [generator.standard_normal(1000) * scale for scale in (0.01, 1.0, 37.0)]
    forward, backward, once = _filled(*parts), _filled(*parts[::-1]), _filled(np.concatenate(parts))
    assert np.array_equal(forward.counts, backward.counts)
    assert np.array_equal(forward.counts, once.counts)
    assert (forward.low, forward.high, forward.total) == (once.low, once.high, 3000)
    assert forward.bound == 2.0 ** np.ceil(np.log2(forward.amax))


def test_zeros_are_apart_and_edges_are_inside() -> None:
    histogram = _filled(np.array([0.0, 0.0, -2.0, 2.0, 1e-30]))
    assert histogram.zeros == 2
    assert histogram.counts.sum() == 3
    assert histogram.bound == 4.0
    assert histogram.counts[HALF] == 1  # 1e-30
    assert histogram.counts[HALF // 2] == histogram.counts[HALF + HALF // 2] == 1


def test_a_tensor_of_zeros_and_one_that_is_not_finite() -> None:
    histogram = _filled(np.zeros(5))
    assert (histogram.total, histogram.amax, histogram.bound) == (5, 0.0, 0.0)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError):
            histogram.update(np.array([1.0, bad], np.float32))


def test_squared_error_matches_brute_force() -> None:
    values = np.random.default_rng(1).standard_normal(100_000)  # few enough to be binned all
    histogram = _filled(values)
    for amax in (1.0, 2.5, histogram.amax):
        scale = amax / 127
        rounded = np.clip(np.round(values / scale), -127, 127) * scale
        exact = np.mean(np.square(values - rounded))
        assert squared_error(histogram, np.array([amax]), 127)[0] == pytest.approx(exact, rel=0.01)


def test_each_method_answers_an_outlier_in_its_own_way() -> None:
    values = np.append(np.random.default_rng(2).standard_normal(100_000), 100.0)
    histogram = _filled(values)
    found = {name: method(histogram, 127) for name, method in METHODS.items()}
    assert found["min-max"] == 100.0
    assert found["percentile"] == pytest.approx(np.percentile(np.abs(values), 99.99), rel=0.02)
    assert 2.0 < found["entropy"] <= 100.0
    errors = {a: squared_error(histogram, np.array([a]), 127)[0] for a in found.values()}
    assert errors[found["mse"]] == min(errors.values())


def test_a_uniform_tensor_is_not_clipped() -> None:
    histogram = _filled(np.random.default_rng(3).uniform(-1, 1, 100_000))
    for name in ("min-max", "mse"):
        assert METHODS[name](histogram, 127) == pytest.approx(1.0, rel=0.01)


def test_large_tensors_are_sampled_but_their_extremes_are_exact() -> None:
    values = np.random.default_rng(4).standard_normal(1_000_000)
    values[123_457] = 77.0
    histogram = _filled(values)
    assert histogram.high == 77.0 and histogram.total <= SAMPLE
    whole = np.mean(np.square(np.clip(values, -3, 3) - values))
    assert squared_error(histogram, np.array([3.0]), 10**6)[0] < 2 * whole


def test_a_gate_that_is_all_but_shut_is_finite() -> None:
    histogram = _filled(np.array([1e-39, 0.0, 5e-40]))
    assert (histogram.bound, histogram.counts[HALF], histogram.zeros) == (2.0**-100, 2, 1)
