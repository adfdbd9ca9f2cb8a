"""What a series of run times says: percentiles, spread, and the ratio of two interleaved series."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

PERCENTILE_METHOD = "sorted[max(n - 1 - floor((1 - p) n), 0)], no interpolation (as trtexec)"
QUANTILES = 201
COV_LIMIT = 0.025
"""Coefficient of variation above which a number is not to be trusted (trtexec's own limit)."""

DRIFT_LIMIT = 0.025
_DRIFT_RUNS = 30
_RATIO_BLOCKS = 30
_RESAMPLES = 4000
_SEED = 20_241


@dataclass(frozen=True)
class Latency:
    """Milliseconds per run and how they were measured, field for field ``latency_ms`` of a report.

    Attributes:
        p50, p90, p95, p99: percentiles by :data:`PERCENTILE_METHOD`.
        mean, min: over the timed runs.
        cov: standard deviation / mean.
        n: timed runs.
        warmup: untimed runs before them.
        conditions: threads, precision_hint, batch, timed_region, affinity, percentiles, seconds, ...
        trustworthy: nothing was seen that makes the number doubtful.
        warnings: what was seen, one sentence each.
    """

    p50: float
    p90: float
    p95: float
    p99: float
    mean: float
    min: float
    cov: float
    n: int
    warmup: int
    conditions: Mapping[str, Any]
    trustworthy: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured(Latency):
    """A latency with the run times it was made from.

    Attributes:
        blocks: milliseconds of each timed run, in order; one array for each uninterrupted stretch.
    """

    blocks: tuple[Samples, ...] = ()

    @property
    def samples_ms(self) -> Samples:
        """All run times in order, milliseconds."""
        return np.concatenate(self.blocks)

    def quantiles_ms(self) -> tuple[float, ...]:
        """201 quantiles from the fastest run to the slowest, in steps of 0.5 %, in nanosecond steps."""
        levels = np.quantile(self.samples_ms, np.linspace(0.0, 1.0, QUANTILES))
        return tuple(round(float(level), 6) for level in levels)

    def summary(self) -> Latency:
        """Without the run times: what a report keeps."""
        return Latency(**{f.name: getattr(self, f.name) for f in fields(Latency)})


@dataclass(frozen=True)
class Ratio:
    """How many times as long ``a`` takes as ``b`` (below 1: ``a`` is faster).

    Attributes:
        ratio: median over rounds of (median of a's block / median of b's block).
        ci95: bootstrap over rounds, 95 % percentile interval.
        rounds: how many.
    """

    ratio: float
    ci95: tuple[float, float]
    rounds: int


def percentile(ordered: Samples, share: float) -> float:
    """The ``share`` percentile (0 to 1) of ascending samples, by :data:`PERCENTILE_METHOD`."""
    n = len(ordered)
    # Rounding first: (1 - 0.9) * 100 is 9.999... in binary, and means 10.
    return float(ordered[max(n - 1 - int(round((1.0 - share) * n, 9)), 0)])


def summarize(
    blocks: Sequence[Samples], warmup: int, conditions: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Measured:
    """Percentiles and spread, plus the warnings that the samples themselves give.

    Args:
        blocks: milliseconds, in order.
        warmup: untimed runs before.
        conditions: recorded as they are; ``interleaved_with`` names what it was compared with already.
        warnings: what was seen from outside.
    """
    samples = np.concatenate(blocks)
    ordered = np.sort(samples)
    average = float(samples.mean())
    cov = float(samples.std() / average) if average > 0 else 0.0
    p50, p90, p95, p99 = (percentile(ordered, share) for share in (0.50, 0.90, 0.95, 0.99))
    seen = (*_spread_warnings(samples, cov, bool(conditions.get("interleaved_with"))), *warnings)
    return Measured(
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        mean=average,
        min=float(ordered[0]),
        cov=cov,
        n=len(samples),
        warmup=warmup,
        conditions={"percentiles": PERCENTILE_METHOD, **conditions},
        trustworthy=not seen,
        warnings=seen,
        blocks=tuple(blocks),
    )


def ratio(samples_a: Samples | Sequence[Samples], samples_b: Samples | Sequence[Samples]) -> Ratio:
    """Ratio of two interleaved series with its bootstrap interval.

    Runs close in time share the machine's state, so rounds are resampled, not runs. What slows the whole machine for
    a while slows both blocks of a round and cancels.

    Args:
        samples_a, samples_b: milliseconds; blocks as :attr:`Measured.blocks`, or one series, which is cut in up to 30.

    Raises:
        ValueError: block counts differ.
    """
    blocks_a, blocks_b = _paired_blocks(samples_a, samples_b)
    if len(blocks_a) != len(blocks_b):
        raise ValueError(f"{len(blocks_a)} and {len(blocks_b)} blocks cannot be paired")
    ratios = np.array([np.median(a) / np.median(b) for a, b in zip(blocks_a, blocks_b)])
    drawn = np.random.default_rng(_SEED).integers(0, len(ratios), size=(_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return Ratio(float(np.median(ratios)), (float(low), float(high)), len(ratios))


def paired(a: Sequence[Samples], b: Sequence[Samples]) -> Ratio:
    """:func:`ratio` over the rounds that both took part in, where one may have left an interleaved run before."""
    rounds = min(len(a), len(b))
    return ratio(list(a[:rounds]), list(b[:rounds]))


def _paired_blocks(
    a: Samples | Sequence[Samples], b: Samples | Sequence[Samples]
) -> tuple[Sequence[Samples], Sequence[Samples]]:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        count = min(_RATIO_BLOCKS, len(a), len(b))
        return np.array_split(a, count), np.array_split(b, count)
    return list(a), list(b)


def _spread_warnings(samples: Samples, cov: float, compared: bool) -> tuple[str, ...]:
    warnings = []
    if cov > COV_LIMIT:
        step = (
            "give more --seconds, which narrow the ratio's interval"
            if compared
            else "compare engines by edge profile ENGINE --against ANOTHER"
        )
        warnings.append(
            f"CoV {100 * cov:.1f} % is above {100 * COV_LIMIT:g} %: run times scatter; quiet the machine or fix its "
            f"clocks, and {step}"
        )
    if len(samples) >= _DRIFT_RUNS:
        third = len(samples) // 3
        first, last = (float(np.median(part)) for part in (samples[:third], samples[-third:]))
        drift = last / first - 1.0 if first > 0 else 0.0
        if abs(drift) > DRIFT_LIMIT:
            word = "slower" if drift > 0 else "faster"
            warnings.append(
                f"drift: the last third ran {100 * abs(drift):.1f} % {word} than the first; clocks or load changed"
            )
    return tuple(warnings)
