"""``[task.intensity]``: what a network is given of values that are not 8-bit grey levels.

1. **Levels.** ``window`` or ``range`` (in the image's own units), or two percentiles, become 0 and 1; what lies outside
   is cut off. ``(v - low) / (high - low)`` is computed in double precision and rounded to float32. Without any of
   them, values go on as they are.
2. **Spread.** ``minmax`` is ``(v - min) / (max - min + 1e-6)``, ``zscore`` is ``(v - mean) / deviation`` (by 1 where
   the deviation is 0), both of the float32 values of step 1, in double precision, rounded to float32; ``fixed`` takes
   nothing from the image.

Figures are taken per channel where the channels have names, and of all values together where they are colours. With
``nonzero`` they are taken of the pixels that are not 0 in the image, and a ``minmax`` or ``zscore`` leaves those that
are 0 at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional

import numpy as np

from ..errors import InputError
from .statistics import Pair, Statistics, extremes, mean_and_deviation, percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Chosen = Optional[NDArray[np.bool_]]

SCOPES = ("image", "volume", "set")
MINMAX_EPSILON = 1e-6
_VALUES_PER_PLANE = 1 << 16
"""Of each plane of a volume or set, so many values, evenly spaced, are kept for its percentiles."""


@dataclass(frozen=True)
class Intensity:
    """How values become what the network was trained on.

    Attributes:
        window: centre and width, as radiologists name them; low and high are half a width off the centre.
        range: low and high.
        percentile: the two percentiles that become 0 and 1.
        nonzero: whether figures are taken of non-zero pixels only.
        scope: what figures are taken of: each image, its volume, or once of the calibration set.
        learned: the figures of the set, once calibration has taken them.
    """

    window: Pair | None = None
    range: Pair | None = None
    percentile: Pair | None = None
    nonzero: bool = False
    scope: str = "image"
    learned: Statistics | None = None

    @property
    def to_unit(self) -> bool:
        """Whether values end in [0, 1]."""
        return self.limits is not None or self.percentile is not None

    @property
    def limits(self) -> Pair | None:
        """The low and high that the task names itself."""
        if self.window is not None:
            centre, width = self.window
            return centre - width / 2.0, centre + width / 2.0
        return self.range

    def require_sound(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InputError: says which key.
        """
        given = [key for key in ("window", "range", "percentile") if getattr(self, key) is not None]
        if len(given) > 1:
            raise InputError(f"task: intensity has {' and '.join(given)}; keep one of them")
        if self.window is not None and not self.window[1] > 0.0:
            raise InputError("task: the window's width must be above 0; correct [task.intensity]")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise InputError("task: range must be [low, high] with low < high; correct [task.intensity]")
        if self.percentile is not None and not 0.0 <= self.percentile[0] < self.percentile[1] <= 100.0:
            raise InputError("task: percentile must be [low, high] with 0 <= low < high <= 100, such as [0.5, 99.5]")


def takes_figures(intensity: Intensity, normalize: str) -> bool:
    """Whether anything is taken from images at all."""
    return intensity.percentile is not None or normalize in ("minmax", "zscore")


def figures(values: NDArray[Any], intensity: Intensity, normalize: str, together: bool) -> Statistics:
    """What one image says of itself.

    Args:
        values: ``[h, w, c]`` as in the file.
        together: all channels are colours of one picture.
    """
    levels, spread = [], []
    for group, chosen in _groups(values, intensity, together):
        if intensity.percentile is not None:
            levels.append(percentiles(group, chosen, intensity.percentile))
        if normalize in ("minmax", "zscore"):
            levelled = to_levels(group, levels[-1] if levels else intensity.limits)
            taken = extremes if normalize == "minmax" else mean_and_deviation
            spread.append(taken(levelled, chosen))
    return Statistics(tuple(levels), tuple(spread))


def apply(values: NDArray[Any], intensity: Intensity, normalize: str, found: Statistics) -> NDArray[np.float32]:
    """Both steps: ``[h, w, c]`` of any type to ``[h, w, c]`` float32."""
    result = np.empty(values.shape, np.float32)
    for channel in range(values.shape[2]):
        plane = values[..., channel]
        done = to_levels(plane, _of(found.levels, channel) or intensity.limits)
        pair = _of(found.spread, channel)
        if pair is not None:
            done = _spread(done, normalize, pair)
            if intensity.nonzero:
                done[plane == 0] = 0.0
        result[..., channel] = done
    return result


def to_levels(values: NDArray[Any], limits: Pair | None) -> NDArray[np.float32]:
    """Step 1: low and high become 0 and 1."""
    if limits is None:
        return values.astype(np.float32)
    low, high = limits
    if not low < high:
        return np.zeros(values.shape, np.float32)
    scaled = (values.astype(np.float64) - low) / (high - low)
    return np.minimum(np.maximum(scaled, 0.0), 1.0).astype(np.float32)


def learn(
    planes: Callable[[], Iterable[NDArray[Any]]], intensity: Intensity, normalize: str, together: bool
) -> Statistics:
    """What a volume or a set says of itself: every plane is read once, or twice where the spread follows percentiles.

    Args:
        planes: gives all planes, ``[h, w, c]``, each time it is called; no two are held at once.
    """
    levels: tuple[Pair, ...] = ()
    if intensity.percentile is not None:
        levels = _pooled_percentiles(planes(), intensity, together)
    if normalize not in ("minmax", "zscore"):
        return Statistics(levels)
    return Statistics(levels, _pooled_spread(planes(), intensity, normalize, together, levels))


def _pooled_percentiles(planes: Iterable[NDArray[Any]], intensity: Intensity, together: bool) -> tuple[Pair, ...]:
    assert intensity.percentile is not None
    kept: list[list[NDArray[Any]]] = []
    for values in planes:
        for index, (group, chosen) in enumerate(_groups(values, intensity, together)):
            picked = (group if chosen is None else group[chosen]).reshape(-1)
            if index == len(kept):
                kept.append([])
            kept[index].append(picked[:: max(picked.size // _VALUES_PER_PLANE, 1)].copy())
    return tuple(percentiles(np.concatenate(k)[:, None, None], None, intensity.percentile) for k in kept)


def _pooled_spread(
    planes: Iterable[NDArray[Any]], intensity: Intensity, normalize: str, together: bool, levels: tuple[Pair, ...]
) -> tuple[Pair, ...]:
    rows: list[list[tuple[int, Pair]]] = []
    for values in planes:
        for index, (group, chosen) in enumerate(_groups(values, intensity, together)):
            count = group.size if chosen is None else int(chosen.sum())
            levelled = to_levels(group, _of(levels, index) or intensity.limits)
            taken = extremes if normalize == "minmax" else mean_and_deviation
            if index == len(rows):
                rows.append([])
            if count:
                rows[index].append((count, taken(levelled, chosen)))
    return tuple(_pool_extremes(r) if normalize == "minmax" else _pool_moments(r) for r in rows)


def _groups(values: NDArray[Any], intensity: Intensity, together: bool) -> Iterable[tuple[NDArray[Any], Chosen]]:
    for group in [values] if together else [values[..., c : c + 1] for c in range(values.shape[2])]:
        yield group, (group != 0 if intensity.nonzero else None)


def _pool_extremes(rows: list[tuple[int, Pair]]) -> Pair:
    return (min(low for _, (low, _) in rows), max(high for _, (_, high) in rows)) if rows else (0.0, 0.0)


def _pool_moments(rows: list[tuple[int, Pair]]) -> Pair:
    total = sum(count for count, _ in rows)
    if not total:
        return 0.0, 0.0
    mean = sum(count * m for count, (m, _) in rows) / total
    variance = sum(count * (s * s + (m - mean) ** 2) for count, (m, s) in rows) / total
    return mean, math.sqrt(variance)


def _spread(values: NDArray[np.float32], normalize: str, pair: Pair) -> NDArray[np.float32]:
    """Step 2."""
    first, second = pair
    divisor = second - first + MINMAX_EPSILON if normalize == "minmax" else second or 1.0
    return ((values.astype(np.float64) - first) / divisor).astype(np.float32)


def _of(pairs: tuple[Pair, ...], channel: int) -> Pair | None:
    if not pairs:
        return None
    return pairs[channel] if len(pairs) > 1 else pairs[0]
