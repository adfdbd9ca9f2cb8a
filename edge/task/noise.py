"""Seeded random pixels: for what is timed or compared with itself, never for what is scored or calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.task.task import SegmentationTask


def noise_pixels(task: SegmentationTask, seed: int = 0) -> NDArray[Any]:
    """``[height, width, channels]`` at the network's size, in the task's order of channels: uint8 where the task's
    pixels are levels, else float32 in [0, 1)."""
    random = np.random.default_rng(seed)
    if not task.in_levels:
        return random.random((*task.size, task.in_channels), dtype=np.float32)
    return random.integers(0, 256, (*task.size, task.in_channels), dtype=np.uint8)


def noise_batch(task: SegmentationTask, seed: int = 0) -> NDArray[np.float32]:
    """``[1, channels, height, width]`` float32: the same pixels, as the network takes them."""
    return task.normalized(noise_pixels(task, seed))[None]
