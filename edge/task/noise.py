"""Seeded random pixels: for what is timed or compared with itself, never for what is scored or calibrated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.task.task import SegmentationTask


def noise_pixels(task: SegmentationTask, seed: int = 0) -> NDArray[np.uint8]:
    """``[height, width, channels]`` uint8 at the network's size, in the task's order of channels."""
    return task.resized(np.random.default_rng(seed).integers(0, 256, (*task.size, 3), dtype=np.uint8))


def noise_batch(task: SegmentationTask, seed: int = 0) -> NDArray[np.float32]:
    """``[1, channels, height, width]`` float32: the same pixels, as the network takes them."""
    return task.normalized(noise_pixels(task, seed))[None]
