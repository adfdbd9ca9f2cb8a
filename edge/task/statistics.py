"""The figures that a normalisation takes from images: percentiles, extremes, mean and standard deviation.

Sums are taken in one stated order, so that every implementation rounds alike: double precision, rows added to one
another from the top, then the columns of what came of it from the left. Percentiles lie ``p / 100 * (n - 1)`` places
into the sorted values, and between two of them on the straight line, in double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pair = Tuple[float, float]


@dataclass(frozen=True)
class Statistics:
    """What was learned from an image, a volume or a set; one pair per channel, or one for all colours together.

    Attributes:
        levels: the values that become 0 and 1 (``percentile``).
        spread: least and largest value (``minmax``), or mean and standard deviation (``zscore``), of what the levels
            made of the values.
    """

    levels: tuple[Pair, ...] = ()
    spread: tuple[Pair, ...] = ()


def percentiles(values: NDArray[Any], chosen: NDArray[np.bool_] | None, at: Pair) -> Pair:
    """Two percentiles of ``[h, w, c]``; ``chosen`` leaves values out. Nothing chosen: 0 and 0."""
    picked = (values if chosen is None else values[chosen]).reshape(-1)
    if not picked.size:
        return 0.0, 0.0
    places = [percent / 100.0 * (picked.size - 1) for percent in at]
    below = [min(math.floor(place), picked.size - 1) for place in places]
    above = [min(index + 1, picked.size - 1) for index in below]
    ordered = np.partition(picked, sorted(set(below + above)))
    low, high = (
        float(ordered[i]) + (float(ordered[j]) - float(ordered[i])) * (place - i)
        for place, i, j in zip(places, below, above)
    )
    return low, high


def extremes(values: NDArray[Any], chosen: NDArray[np.bool_] | None) -> Pair:
    """Least and largest of ``[h, w, c]``; nothing chosen: 0 and 0."""
    picked = values if chosen is None else values[chosen]
    return (float(picked.min()), float(picked.max())) if picked.size else (0.0, 0.0)


def mean_and_deviation(values: NDArray[Any], chosen: NDArray[np.bool_] | None) -> Pair:
    """Mean and population standard deviation of ``[h, w, c]``; nothing chosen: 0 and 0."""
    count = values.size if chosen is None else int(chosen.sum())
    if not count:
        return 0.0, 0.0
    mean = _total(values, chosen, None) / count
    return mean, math.sqrt(_total(values, chosen, mean) / count)


def _total(values: NDArray[Any], chosen: NDArray[np.bool_] | None, mean: float | None) -> float:
    """The sum of the values, or of their squared distances from ``mean``, in the order that the module states."""
    rows = values.reshape(len(values), -1)
    picked = None if chosen is None else chosen.reshape(len(values), -1)
    columns = np.zeros(rows.shape[1], np.float64)
    for index, row in enumerate(rows):
        terms = row.astype(np.float64)
        if mean is not None:
            terms -= mean
            terms *= terms
        if picked is not None:
            terms *= picked[index]
        columns += terms
    total = 0.0
    for term in columns.tolist():
        total += term
    return total
