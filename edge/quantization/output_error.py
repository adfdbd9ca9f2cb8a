"""How near a quantized network's output comes to the float one's, on images that took no part in a choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.onnxruntime import optimized
from edge.graph.model import Model
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import Scheme, plan_int8
from edge.quantization.write import quantize

LEAST_GAIN_DB = 0.3
"""A choice that gains less is not made: the simpler graph stays."""


def gains(tried: NDArray[np.float64], kept: NDArray[np.float64]) -> bool:
    """Whether a choice gains more than :data:`LEAST_GAIN_DB` and more than chance among so few images.

    One image may gain 8 dB and the next lose 7; over all their pixels that is a gain, which the next set of images
    turns into a loss. So the mean of the images' gains has to exceed its standard error too.

    Args:
        tried, kept: decibels of each image, in one order.
    """
    difference = tried - kept
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return bool(difference.mean() > max(LEAST_GAIN_DB, error))


class OutputError:
    """Everything that a scheme allows in INT8, run by ONNX Runtime; a graph that was measured is not run again.

    Args:
        model: the float graph that was calibrated.
        scheme: of the compiler that will run the graph.
        images: ``[1, channels, height, width]`` float32 each; none of those that ranges were chosen on.
    """

    def __init__(self, model: Model, scheme: Scheme, images: Sequence[NDArray[np.float32]]) -> None:
        self._model, self._scheme, self._images = model, scheme, images
        self._plan = plan_int8(model, scheme)
        self._exact = self._outputs(model)
        self._known: dict[str, NDArray[np.float64]] = {}

    def db(self, ranges: Ranges) -> NDArray[np.float64]:
        """SQNR of each image's output, in dB, see :func:`~edge.accuracy.sqnr.clipped_sqnr_db`."""
        graph = quantize(self._model, ranges, self._plan, self._scheme)
        if graph.sha256 not in self._known:
            pairs = zip(self._exact, self._outputs(graph), strict=True)
            found = [clipped_sqnr_db(exact[None], output[None], self._model.task) for exact, output in pairs]
            self._known[graph.sha256] = np.array(found)
        return self._known[graph.sha256]

    def _outputs(self, graph: Model) -> NDArray[np.float32]:
        run = optimized(graph).run
        return np.concatenate([run(image) for image in self._images])
