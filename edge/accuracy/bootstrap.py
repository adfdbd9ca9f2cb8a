"""Paired bootstrap of a mean difference (Efron & Tibshirani 1993, percentile intervals), by image or by group.

Engine and reference see the same images, so it is the per-image difference that is resampled: far tighter than two
independent intervals. Images of one patient, slide or sequence are not independent; a group column resamples whole
groups (cluster bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20_240
_CHUNK = 1 << 22  # resampled values in memory at once
# One-sided 5 % test at 80 % power: z(0.95) + z(0.80).
_DETECTABLE_Z = 1.6449 + 0.8416


@dataclass(frozen=True)
class Interval:
    """A mean difference and how sure it is.

    Attributes:
        difference: the mean, engine minus reference.
        ci95: two-sided 95 % percentile interval.
        lower_bound: lower end of the one-sided 95 % interval (the 5th percentile).
        detectable: the smallest true difference that this many images would show (one-sided 5 %, power 80 %).
        units: how many images, or groups, were resampled.
    """

    difference: float
    ci95: tuple[float, float]
    lower_bound: float
    detectable: float
    units: int


def paired(
    engine: NDArray[np.float64],
    reference: NDArray[np.float64],
    groups: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Bootstrap the mean of ``engine - reference``.

    Args:
        engine, reference: ``[images]`` scores of the same images in the same order.
        groups: one group name per image ("": none, so the image stands for itself), or None to resample images.
        resamples: how often.
        seed: of the generator; the same input gives the same interval.
    """
    differences = engine - reference
    sums, sizes = units(differences, groups)
    means = _resampled_means(sums, sizes, resamples, np.random.default_rng(seed))
    low, one_sided, high = np.quantile(means, (0.025, 0.05, 0.975))
    return Interval(
        difference=float(differences.mean()),
        ci95=(float(low), float(high)),
        lower_bound=float(one_sided),
        detectable=float(_DETECTABLE_Z * means.std()),
        units=len(sums),
    )


def units(values: NDArray[np.float64], groups: Sequence[str] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is resampled: the sum of the values of each image, or of each group, and how many images it holds."""
    if groups is None:
        return values, np.ones_like(values)
    named = [("group", group) if group else ("image", str(row)) for row, group in enumerate(groups)]
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(named))}
    index = np.array([numbers[unit] for unit in named])
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    means = np.empty(resamples)
    step = max(1, _CHUNK // len(sums))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, len(sums), size=(rows, len(sums)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means
