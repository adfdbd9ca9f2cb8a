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
        self._known: dict[str, float] = {}

    def db(self, ranges: Ranges) -> float:
        """SQNR at the output, in dB, see :func:`~edge.accuracy.sqnr.clipped_sqnr_db`."""
        graph = quantize(self._model, ranges, self._plan, self._scheme)
        if graph.sha256 not in self._known:
            self._known[graph.sha256] = clipped_sqnr_db(self._exact, self._outputs(graph), self._model.task)
        return self._known[graph.sha256]

    def _outputs(self, graph: Model) -> NDArray[np.float32]:
        run = optimized(graph).run
        return np.concatenate([run(image) for image in self._images])
