"""Class probabilities of an image, at its own size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.task.fit import take_back
from edge.task.task import SegmentationTask

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def probabilities(run: Run, task: SegmentationTask, image: NDArray[Any]) -> NDArray[np.float32]:
    """``[maps, h, w]`` float32; see :meth:`edge.api.engine.LoadedEngine.probabilities`.

    Args:
        run: ``[1, channels, height, width]`` float32 to ``[1, maps, rows, columns]`` float32.
        task: decides what goes in and what the output means.
        image: ``[h, w]`` or ``[h, w, channels]``.

    Raises:
        InputError: the network returns class indices, which have no probabilities.
    """
    if task.output == "labels":
        raise InputError("probabilities: the network returns class indices; call segment")
    shape = (image.shape[0], image.shape[1])
    if task.fit == "tile":
        blended = np.empty((task.maps, *shape), np.float32)

        def take(row: int, band: NDArray[np.float32]) -> None:
            blended[:, row : row + band.shape[1]] = _activated(band, task)

        task.blend(run, image, take)
        return blended
    maps = _activated(run(task.preprocess(image)[None])[0], task)
    # Labels and probabilities return to the image by the same nearest neighbour, so that they agree pixel by pixel.
    return take_back(maps.transpose(1, 2, 0), task.fit, task.size, shape).transpose(2, 0, 1)


def _activated(output: NDArray[np.float32], task: SegmentationTask) -> NDArray[np.float32]:
    if task.output == "probabilities" or task.activation == "none":
        return output
    if task.activation == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * output)), np.float32)  # the logistic function, never overflowing
    shifted = np.exp(output - output.max(axis=0, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=0, keepdims=True), np.float32)
