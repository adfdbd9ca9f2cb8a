"""Whether a step for each channel helps a network, measured at its output on images that did not choose the steps.

It gains 4 to 7 dB on LiteNeXt and LightAWNet and nothing on U-Net, where what the weights lose outweighs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.onnxruntime import optimized
from edge.graph.model import Model
from edge.quantization.ranges import COARSE, FINE, Ranges
from edge.quantization.schemes import Scheme, plan_int8
from edge.quantization.write import quantize

LEAST_GAIN_DB = 0.3
"""Below this one step for all channels stays: the simpler graph."""


def drop_what_does_not_help(
    model: Model, ranges: Ranges, scheme: Scheme, images: Sequence[NDArray[np.float32]]
) -> Ranges:
    """Ranges with a step for each channel on signed grids, unsigned ones, both or none: what disturbs the output least.

    Args:
        model: the float graph that was calibrated.
        ranges: with magnitudes for channels.
        scheme: of the compiler that will run the graph.
        images: ``[1, channels, height, width]`` float32 each; none of those that the steps were chosen on.
    """
    plan = plan_int8(model, scheme)
    run = optimized(model).run
    exact = np.concatenate([run(image) for image in images])
    best, least, seen = ranges, -np.inf, set[str]()
    for signed, unsigned in product((False, True), repeat=2):
        tried = _kept(ranges, signed, unsigned)
        graph = quantize(model, tried, plan, scheme)
        if graph.sha256 in seen:
            continue
        seen.add(graph.sha256)
        run = optimized(graph).run
        found = clipped_sqnr_db(exact, np.concatenate([run(image) for image in images]), model.task)
        if found > least + LEAST_GAIN_DB:
            best, least = tried, found
    return best


def _kept(ranges: Ranges, signed: bool, unsigned: bool) -> Ranges:
    for steps, wanted in ((COARSE, signed), (FINE, unsigned)):
        ranges = ranges if wanted else ranges.uniform(steps)
    return ranges
