import numpy as np
import pytest

from edge.latency.statistics import percentile, ratio, summarize


def test_percentiles_follow_the_stated_method() -> None:
    ordered = np.arange(1.0, 101.0)
    assert percentile(ordered, 0.99) == 99.0  # the second worst of 100
    assert percentile(ordered, 0.90) == 90.0
    assert percentile(ordered, 0.50) == 50.0
    assert percentile(np.arange(1.0, 12.0), 0.99) == 11.0  # too few for p99: the worst
    assert percentile(np.array([7.0]), 0.5) == 7.0


def test_summary_by_hand() -> None:
    measured = summarize([np.array([3.0, 1.0]), np.array([2.0, 2.0])], warmup=9, conditions={"threads": 2})
    assert measured.samples_ms.tolist() == [3.0, 1.0, 2.0, 2.0]
    assert (measured.p50, measured.mean, measured.min, measured.n, measured.warmup) == (2.0, 2.0, 1.0, 4, 9)
    assert measured.cov == pytest.approx(np.sqrt(0.5) / 2)
    assert measured.conditions["threads"] == 2
    assert "sorted[" in measured.conditions["percentiles"]


def test_the_report_keeps_no_samples() -> None:
    summary = summarize([np.full(10, 5.0)], 0, {}).summary()
    assert set(vars(summary)) == {
        *("p50", "p90", "p95", "p99", "mean", "min", "cov", "n", "warmup", "conditions", "trustworthy", "warnings")
    }


def test_even_times_are_trustworthy_and_scattered_ones_are_not() -> None:
    assert summarize([np.tile([4.05, 3.95], 100)], 0, {}).trustworthy
    scattered = summarize([np.tile([4.4, 3.6], 100)], 0, {})
    assert not scattered.trustworthy
    assert scattered.warnings[0].startswith("CoV 10.")
    assert len(scattered.warnings) == 1


def test_scattered_times_name_a_step_that_was_not_taken_yet() -> None:
    """An engine alone may be compared; one that was timed in turns has been."""
    times = [np.tile([4.4, 3.6], 100)]
    alone, paired = (summarize(times, 0, {"interleaved_with": others}).warnings[0] for others in ([], ["other"]))
    assert "edge profile ENGINE --against ANOTHER" in alone
    assert "--against" not in paired and "give more --seconds" in paired


def test_drift_is_seen_even_where_the_spread_is_small() -> None:
    slower = summarize([np.linspace(10.0, 10.45, 300)], 0, {})
    assert slower.cov < 0.025
    assert slower.warnings == ("drift: the last third ran 3.0 % slower than the first; clocks or load changed",)
    assert "faster" in summarize([np.linspace(10.45, 10.0, 300)], 0, {}).warnings[0]


def test_a_warning_from_outside_makes_it_untrustworthy() -> None:
    assert not summarize([np.full(10, 1.0)], 0, {}, ["foreign load"]).trustworthy


def rounds(factor: float, noise: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    state = 1 + 0.5 * rng.random(30)  # the whole machine slows by up to half, round by round
    a = [s * factor * (1 + noise * rng.standard_normal(9)) for s in state]
    b = [s * (1 + noise * rng.standard_normal(9)) for s in state]
    return a, b


def test_ratio_cancels_what_slows_the_whole_machine() -> None:
    result = ratio(*rounds(1.30, 0.01, 0))
    assert result.rounds == 30
    assert result.ratio == pytest.approx(1.30, rel=0.01)
    assert 0.0 < result.ci95[1] - result.ci95[0] < 0.02


def test_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    hits = [low <= 1.1 <= high for low, high in (ratio(*rounds(1.1, 0.05, seed)).ci95 for seed in range(200))]
    assert 0.90 <= np.mean(hits) <= 1.0


def test_flat_series_are_cut_into_rounds_and_uneven_blocks_are_refused() -> None:
    assert ratio(np.full(90, 3.0), np.full(60, 2.0)).ratio == 1.5
    assert ratio(np.full(90, 3.0), np.full(60, 2.0)).rounds == 30
    assert ratio(np.full(4, 3.0), np.full(60, 2.0)).rounds == 4
    with pytest.raises(ValueError, match="cannot be paired"):
        ratio([np.ones(2)], [np.ones(2), np.ones(2)])


def test_quantiles_span_the_samples() -> None:
    found = summarize([np.array([3.0, 1.0]), np.array([2.0])], 0, {}).quantiles_ms()
    assert len(found) == 201
    assert (found[0], found[100], found[-1]) == (1.0, 2.0, 3.0)
    assert list(found) == sorted(found)
