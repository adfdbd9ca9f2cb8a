"""A step for each channel of an activation, though its grid has one: the channel is divided before it is rounded.

    x ── Q ── Conv(w)        to        x ── × 1/s ── Q ── Conv(s · w)

INT8 convolutions take one step per tensor, so channels of small values share the step of the largest. Dividing each
channel by its own ``s`` and multiplying the weights that read it by the same ``s`` is exact in float, and gives each
channel a step that suits its own values (Nagel et al., ICCV 2019, section 4.1; Xiao et al., SmoothQuant, ICML 2023).
The division costs nothing where a point-wise function makes the tensor, or rounding does the scaling.

Two proposals for ``s``, of which each network gets the one that serves it, or neither:

========= =============================================================================================================
fitted    least squared error over values sampled from all calibration images: clips what is rare in a channel
reached   as far as the channel's values reach: clips nothing that the whole tensor's grid would not
========= =============================================================================================================

No ``s`` is less than :data:`LEAST` or :data:`LEAST_REACH`: what a channel of activations wins by a small step, its
column of weights loses.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.quantization.grid import Grid

Array = NDArray[np.float32]

LEAST, MOST = 0.4, 1.4
LEAST_REACH = 0.25
_COARSE_CANDIDATES = np.geomspace(LEAST, MOST, 12)
_FINE_CANDIDATES = np.array([0.95, 0.975, 1.025, 1.05])
_POSITIONS = 32
_IMAGES = 32
_AT_ONCE = 64  # channels, so that the work stays in the cache
_DIGITS = 4
_LEVELS: Mapping[str, tuple[int, int]] = {"int8": (-127, 127), "uint8": (0, 255)}


class ChannelSamples:
    """Values of every channel of a tensor at a few positions of evenly spread images; its size is bounded.

    Args:
        axis: of channels.

    Attributes:
        extremes: least and largest value of each channel on images that were sampled, ``[2, channels]`` float32; no
            channels where nothing was.
    """

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self.extremes: Array = np.zeros((2, 0), np.float32)
        self._kept: list[NDArray[np.float16]] = []
        self._step, self._seen = 1, 0

    def offer(self, values: Array) -> None:
        """Sample one image's tensor, unless it falls between those that are kept."""
        if self._seen % self._step == 0:
            if len(self._kept) == _IMAGES:
                self._kept, self._step = self._kept[::2], 2 * self._step
            if self._seen % self._step == 0 and values.ndim > 1:
                rows = np.moveaxis(values, self._axis, 0).reshape(values.shape[self._axis], -1)
                self._kept.append(self._sampled(rows))
                self._widen(rows)
        self._seen += 1

    def values(self) -> Array:
        """``[channels, samples]`` float32; no channels where nothing was sampled."""
        return np.concatenate(self._kept, axis=1).astype(np.float32) if self._kept else np.zeros((0, 0), np.float32)

    def _widen(self, rows: Array) -> None:
        low, high = rows.min(axis=1), rows.max(axis=1)
        if self.extremes.size:
            low, high = np.minimum(self.extremes[0], low), np.maximum(self.extremes[1], high)
        self.extremes = np.stack([low, high])

    def _sampled(self, rows: Array) -> NDArray[np.float16]:
        count = min(_POSITIONS, rows.shape[1])
        chosen = np.random.default_rng(self._seen).choice(rows.shape[1], count, replace=False)
        with np.errstate(over="ignore"):  # what FP16 cannot hold is clipped on any grid
            return rows[:, chosen].astype(np.float16)


def fitted_divisors(samples: Array, grid: Grid) -> tuple[float, ...]:
    """The divisor of each channel that leaves the least squared error on a grid.

    Args:
        samples: ``[channels, samples]``.
        grid: of the whole tensor.

    Returns:
        A number for each channel in ``[0.95 LEAST, 1.05 MOST]``; () where there is nothing to go by.
    """
    if not samples.size or not np.isfinite(samples).all():
        return ()
    chosen = np.concatenate([_best(samples[i : i + _AT_ONCE], grid) for i in range(0, len(samples), _AT_ONCE)])
    return _rounded(chosen)


def reached_divisors(extremes: Array, grid: Grid) -> tuple[float, ...]:
    """The divisor of each channel with which it reaches the end of a grid, on the side where it comes nearer.

    Args:
        extremes: ``[2, channels]``, least and largest value of each.
        grid: of the whole tensor.

    Returns:
        A number for each channel in ``[LEAST_REACH, 1]``; () where there is nothing to go by.
    """
    if not extremes.size or not np.isfinite(extremes).all():
        return ()
    ends = [(level - grid.zero) * grid.scale for level in _LEVELS[grid.dtype]]
    shares = [values / end for values, end in zip(extremes, ends, strict=True) if end != 0]
    return _rounded(np.clip(np.max(shares, axis=0), LEAST_REACH, 1.0))


def _rounded(divisors: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in divisors)


def _best(samples: Array, grid: Grid) -> NDArray[np.float64]:
    coarse = np.stack([_error(samples, np.full(len(samples), c), grid) for c in _COARSE_CANDIDATES])
    best = np.where(coarse.max(0) > coarse.min(0), _COARSE_CANDIDATES[coarse.argmin(0)], 1.0)
    candidates = best * np.concatenate([[1.0], _FINE_CANDIDATES])[:, None]
    fine = np.stack([_error(samples, row, grid) for row in candidates])
    return candidates[fine.argmin(0), np.arange(len(samples))] if fine.max() > 0 else best


def _error(samples: Array, divisors: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    low, high = _LEVELS[grid.dtype]
    step = (grid.scale * divisors).astype(np.float32)[:, None]
    rounded = np.rint(samples / step)
    np.clip(rounded, low - grid.zero, high - grid.zero, out=rounded)
    rounded *= step
    rounded -= samples
    return np.einsum("cs,cs->c", rounded, rounded).astype(np.float64)
