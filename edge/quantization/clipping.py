"""Where to clip a tensor: four classic answers, each a function of its histogram.

========== ==========================================================================================================
min-max    the largest magnitude seen: nothing is clipped
percentile the magnitude below which 99.99 % of the values lie
entropy    least Kullback-Leibler divergence between the values and their quantized form (Migacz, GTC 2017)
mse        least mean squared error of rounding and clipping together
========== ==========================================================================================================

None is best everywhere, so :mod:`edge.quantization.clip_trials` measures on real images which one serves each tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edge.quantization.histogram import HALF, Histogram

PERCENTILE = 99.99
_MSE_SHARES = np.linspace(0.2, 1.0, 81)  # of the largest magnitude
_ENTROPY_CANDIDATES = 96


def min_max(histogram: Histogram, steps: int) -> float:
    """Largest magnitude."""
    return histogram.amax


def percentile(histogram: Histogram, steps: int) -> float:
    """Upper edge of the bin in which :data:`PERCENTILE` of all values (zeros too) is reached."""
    centres, counts = histogram.magnitudes()
    reached = np.cumsum(counts) + histogram.zeros
    index = int(np.searchsorted(reached, histogram.total * PERCENTILE / 100.0))
    width = centres[1] - centres[0]
    return float(min(centres[min(index, HALF - 1)] + width / 2, histogram.amax))


def mse(histogram: Histogram, steps: int) -> float:
    """Magnitude of least mean squared error."""
    candidates = _MSE_SHARES * histogram.amax
    return float(candidates[int(np.argmin(squared_error(histogram, candidates, steps)))])


def entropy(histogram: Histogram, steps: int) -> float:
    """Magnitude of least Kullback-Leibler divergence.

    For each candidate the reference takes the clipped tail into its last bin, and the quantized form spreads each
    level's mass evenly over the bins that were not empty.
    """
    centres, counts = histogram.magnitudes()
    used = int(np.nonzero(counts)[0][-1]) + 1
    stops = (
        np.unique(np.linspace(max(steps, used // 5), used, _ENTROPY_CANDIDATES).astype(int)) if used > steps else [used]
    )
    tails = np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]])
    divergences = [_divergence(counts[:stop], float(tails[stop]), steps) for stop in stops]
    width = centres[1] - centres[0]
    return float(min(stops[int(np.argmin(divergences))] * width, histogram.amax))


METHODS: Mapping[str, Callable[[Histogram, int], float]] = {
    "min-max": min_max,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}
"""Name to ``(histogram, steps) -> magnitude``; ``steps`` is how many grid steps lie between 0 and that magnitude."""


def squared_error(histogram: Histogram, amax: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Mean squared error of clipping to each magnitude and rounding to ``steps`` steps.

    Args:
        amax: ``[candidates]``, positive.

    Returns:
        ``[candidates]`` float64.
    """
    centres, counts = histogram.magnitudes()
    used = int(np.nonzero(counts)[0][-1]) + 1
    centres, counts = centres[:used], counts[:used]
    scale = (amax / steps)[:, None]
    rounded = np.minimum(np.round(centres / scale), steps) * scale
    return (np.square(rounded - centres) @ counts) / max(histogram.total, 1)


def _divergence(counts: NDArray[np.float64], tail: float, steps: int) -> float:
    reference = counts.copy()
    reference[-1] += tail
    level = np.arange(len(counts)) * steps // len(counts)
    mass = np.bincount(level, counts, minlength=steps)
    occupied = np.bincount(level, counts > 0, minlength=steps)
    spread = np.where(counts > 0, mass[level] / np.maximum(occupied[level], 1), 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1e-300)
    inside = p > 0
    return float(np.sum(p[inside] * np.log(p[inside] / np.maximum(q[inside], 1e-12))))
