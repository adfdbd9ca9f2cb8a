"""What people are shown of an image: 8 bits of grey or colour, through the task's own window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.task.plane import Plane
from edge.task.task import SegmentationTask

_STRETCH = (0.5, 99.5)


def shown(plane: Plane, task: SegmentationTask) -> NDArray[np.uint8]:
    """A plane as a picture.

    Args:
        plane: of any type and number of channels. Of channels that are no colours the first is shown; of neighbouring
            slices the one at hand.
        task: its window or range becomes black to white; where it has none, the values between two percentiles do.

    Returns:
        ``[h, w]`` grey or ``[h, w, 3]`` RGB.
    """
    values = plane.values
    if values.dtype == np.uint8 and (values.ndim == 2 or values.shape[2] == 3):
        return np.asarray(values, np.uint8)
    channels = task.values(plane)
    depths = task.depths
    channel = channels[..., depths.index(0) if depths is not None and 0 in depths else 0].astype(np.float64)
    unit = task.intensity is not None and task.intensity.to_unit and task.normalize == "fixed"
    low, high = (0.0, 1.0) if unit else np.percentile(channel, _STRETCH)
    if not high > low:
        return np.zeros(channel.shape, np.uint8)
    return np.round((channel - low) / (high - low) * 255.0).clip(0, 255).astype(np.uint8)
