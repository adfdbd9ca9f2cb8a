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

_FIRST = 3  # images, evenly spaced; a choice that loses on each of them is left


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
    """Everything that a scheme allows in INT8, run by ONNX Runtime; a graph that ran on all images is not run again.

    Args:
        model: the float graph that was calibrated.
        scheme: of the compiler that will run the graph.
        images: ``[1, channels, height, width]`` float32 each; none of those that ranges were chosen on.
    """

    def __init__(self, model: Model, scheme: Scheme, images: Sequence[NDArray[np.float32]]) -> None:
        self._model, self._scheme, self._images = model, scheme, images
        self._plan = plan_int8(model, scheme)
        run = optimized(model).run
        self._exact = [run(image) for image in images]
        self._first = list(range(0, len(images), max(1, -(-len(images) // _FIRST))))
        self._others = [index for index in range(len(images)) if index not in self._first]
        self._known: dict[str, NDArray[np.float64]] = {}

    def db(self, ranges: Ranges) -> NDArray[np.float64]:
        """SQNR of each image's output, in dB, see :func:`~edge.accuracy.sqnr.clipped_sqnr_db`."""
        return self._measured(self._graph(ranges), np.full(len(self._images), -np.inf))

    def gained(self, tried: Ranges, least: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Decibels of each image where a choice gains, see :func:`gains`, else None.

        A choice that loses on each of the first few images is not run on the others and counts as no gain; most do, so
        that this saves half of the time.

        Args:
            tried: the choice.
            least: decibels of what it is compared with.
        """
        found = self._measured(self._graph(tried), least)
        return found if not np.isnan(found).any() and gains(found, least) else None

    def _graph(self, ranges: Ranges) -> Model:
        return quantize(self._model, ranges, self._plan, self._scheme)

    def _measured(self, graph: Model, least: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decibels of each image; NaN on all but the first few where none of these comes to the least."""
        if graph.sha256 in self._known:
            return self._known[graph.sha256]
        run, found = optimized(graph).run, np.full(len(self._images), np.nan)
        for indices in (self._first, self._others):
            for index in indices:
                found[index] = clipped_sqnr_db(self._exact[index], run(self._images[index]), self._model.task)
            if (found[self._first] < least[self._first]).all():
                return found
        self._known[graph.sha256] = found
        return found
