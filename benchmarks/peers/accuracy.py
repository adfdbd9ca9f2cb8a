"""Accuracy of a peer by our own yardstick, and the function that NNCF's accuracy control asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.builders import Setting

# Accuracy control evaluates many times; a couple of dozen images keep it within the time limit.
_VALIDATION_IMAGES = 24

Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]


def validation(setting: Setting) -> tuple[Callable[[Any, Iterable[Sample]], float], list[Sample]]:
    """Mean Dice over some val images, as ``(function, samples)`` in the form NNCF wants."""
    from edge.accuracy import scores
    from edge.accuracy.counts import count, stack
    from edge.images import load_image_set
    from edge.model import read_model

    task = read_model(setting.source).task
    chosen = load_image_set(setting.data).split("val").spread(_VALIDATION_IMAGES)
    pairs = (sample.pair(task) for sample in chosen)
    samples = [(task.preprocess(pixels)[None], truth) for pixels, truth in pairs]

    def validate(compiled: Any, data: Iterable[Sample]) -> float:
        counts = []
        for batch, truth in data:
            output = compiled(batch)[0][0]
            counts.append(count(task.labels(output, (truth.shape[0], truth.shape[1])), truth, task))
        return float(scores.mean(scores.dice(stack(counts))))

    return validate, samples
