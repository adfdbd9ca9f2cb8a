"""A histogram of a tensor's values that sees one image at a time and never grows.

The bins cover ``[-bound, bound)`` where ``bound`` is a power of two. A larger value doubles the bound and merges bins
in pairs, which is exact: the histogram depends on the values alone, not on the order in which images came.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

HALF = 4096
"""Bins on either side of zero: at least 16 for each step of an 8-bit grid."""

SAMPLE = 1 << 17
"""Values of one tensor of one image that are binned at most; its extremes are always those of all values."""

_LEAST_BOUND = 2.0**-100  # a gate that is all but shut: HALF / bound stays finite in float32


class Histogram:
    """Counts of a tensor's values.

    Attributes:
        low, high: exact extremes of all values; 0 before the first.
        total: how many values were binned, or were 0.
        zeros: how many of these were exactly 0. They are in no bin: every grid here represents 0 exactly.
        bound: power of two, 2^-100 or more, larger than every magnitude; 0 before the first value that is not 0.
        counts: ``[2 * HALF]`` int64, bins of width ``bound / HALF`` from ``-bound`` up.
    """

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 0.0
        self.total = 0
        self.zeros = 0
        self.bound = 0.0
        self.counts = np.zeros(2 * HALF, np.int64)

    def update(self, values: NDArray[np.float32]) -> None:
        """Add a tensor's values.

        Raises:
            ValueError: NaN or infinity among them.
        """
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("not finite")
        first = self.total == 0
        self.low, self.high = (low, high) if first else (min(self.low, low), max(self.high, high))
        magnitude = max(-low, high)
        sample = np.ascontiguousarray(values.reshape(-1)[:: _stride(values.size)])  # read several times
        zeros = int(np.count_nonzero(sample == 0))
        self.total += sample.size
        self.zeros += zeros
        if magnitude > 0:
            self._grow(max(2.0 ** (math.frexp(magnitude)[1]), _LEAST_BOUND))
            # A power of two: the product is exact, so a value's bin never depends on the bound it was scaled by.
            scaled = np.floor(sample * np.float32(HALF / self.bound))
            self.counts += np.bincount(scaled.astype(np.int32) + HALF, minlength=2 * HALF)
            self.counts[HALF] -= zeros

    @property
    def amax(self) -> float:
        """Largest magnitude seen."""
        return max(-self.low, self.high)

    def magnitudes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bin centres of ``|x|`` and their counts, both ``[HALF]`` float64, without the exact zeros."""
        folded = self.counts[HALF:] + self.counts[:HALF][::-1]
        return (np.arange(HALF, dtype=np.float64) + 0.5) * (self.bound / HALF), folded.astype(np.float64)

    def _grow(self, bound: float) -> None:
        if self.bound == 0.0:
            self.bound = bound
        while self.bound < bound:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[HALF // 2 : HALF + HALF // 2] = merged
            self.bound *= 2.0


def _stride(size: int) -> int:
    """Step through a flat tensor that bins :data:`SAMPLE` values at most; odd, so that it visits every column."""
    return -(-size // SAMPLE) | 1 if size > SAMPLE else 1
