"""The last step before the network: 8-bit levels through a table, float32 values through a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .intensity import MINMAX_EPSILON

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .task import SegmentationTask


def normalized(resized: NDArray[Any], task: SegmentationTask) -> NDArray[np.float32]:
    """``[height, width, channels]``, uint8 levels or float32, to ``[channels, height, width]`` float32."""
    if task.in_levels:
        table = _table(resized, task)
        return np.stack([table[c][resized[..., c]] for c in range(task.in_channels)])
    planes = np.ascontiguousarray(resized.transpose(2, 0, 1))
    if task.normalize != "fixed":
        return planes
    return np.stack([_fixed(plane.astype(np.float64), c, task) for c, plane in enumerate(planes)])


def padding(part: NDArray[Any], task: SegmentationTask) -> float:
    """What padding around ``part`` holds before it is normalised: the task's value, or on levels the nearest level."""
    if not task.in_levels:
        return task.pad_value
    low, high = (float(part.min()), float(part.max())) if task.normalize == "minmax" else (0.0, task.scale)
    return float(np.floor(low + task.pad_value * (high - low) + 0.5))


def _table(resized: NDArray[np.uint8], task: SegmentationTask) -> NDArray[np.float32]:
    """``[channels, 256]``: what each level becomes."""
    levels = np.arange(256, dtype=np.float64)
    if task.normalize == "minmax":
        low, high = int(resized.min()), int(resized.max())
        table = ((levels - low) / (high - low + MINMAX_EPSILON)).astype(np.float32)
        return table[None].repeat(task.in_channels, axis=0)
    return np.stack([_fixed(levels, c, task) for c in range(task.in_channels)])


def _fixed(values: NDArray[np.float64], channel: int, task: SegmentationTask) -> NDArray[np.float32]:
    mean, std = (v[channel] if len(v) > 1 else v[0] for v in (task.mean, task.std))
    return ((values / task.scale - mean) / std).astype(np.float32)
