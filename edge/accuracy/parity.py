"""Parity: did the compiler keep its graph's meaning, and if it cannot be shown, what explains that?

The engine is compared with ONNX Runtime (optimizations off) on the very graph that was compiled. Some graphs are at the
mercy of rounding: there any second executor is as far off, and quantization itself was further.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.checked import Parity
from edge.accuracy.sqnr import parity_db
from edge.backends.engine import Runner
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import ImageSet

Array = NDArray[np.float32]

PARITY_IMAGES = 12
"""Parity asks whether the compiler computes what the graph says; a dozen images show that, and unoptimized ONNX
Runtime is slow."""


def measure_parity(
    runner: Runner,
    graph: Model,
    images: ImageSet,
    bar: float,
    source: Mapping[str, Array] | None = None,
    known: MutableMapping[str, Array] | None = None,
    ran: Mapping[str, Array] | None = None,
) -> Parity:
    """Parity over a few of the images; a second executor of the graph is asked only where the engine misses the bar.

    Args:
        runner: the engine.
        graph: what it was compiled from.
        images: real ones, spread evenly over the set.
        bar: parity that needs no explanation, in decibels.
        source: name of an image to the float source's output for it, ``[maps, height, width]``.
        known: SHA-256 of a graph to what it returned for these images; read and added to, so that engines of one graph
            in two precisions run it once.
        ran: name of an image to what the engine returned for it, ``[maps, height, width]``, where it ran before.

    Raises:
        InputError: the engine returns another shape than its graph.
    """
    from edge.backends.onnxruntime import optimized, reference

    samples = list(images.spread(PARITY_IMAGES))
    inputs = [graph.task.preprocess(sample.plane(graph.task))[None] for sample in samples]
    known = {} if known is None else known
    if graph.sha256 not in known:
        known[graph.sha256] = _outputs(reference(graph), inputs)
    exact = known[graph.sha256]
    ran = ran or {}
    actual = np.concatenate(
        [
            ran[sample.name][None] if sample.name in ran else runner.run(image)
            for sample, image in zip(samples, inputs, strict=True)
        ]
    )
    if actual.shape != exact.shape:
        made, wanted = (" x ".join(map(str, array.shape[1:])) for array in (actual, exact))
        raise InputError(
            f"{graph.source}: the engine returns {made} where its graph says {wanted}; use another compiler"
        )
    engine_db = parity_db(exact, actual)
    if engine_db >= bar:
        return Parity(engine_db)
    graph_db = source_db = None
    if source is not None:
        before = np.stack([source[sample.name] for sample in samples])
        if before.shape == exact.shape:
            graph_db, source_db = parity_db(before, exact), parity_db(before, actual)
    return Parity(engine_db, graph_db, parity_db(exact, _outputs(optimized(graph), inputs)), source_db)


def _outputs(runner: Runner, inputs: Sequence[Array]) -> Array:
    return np.concatenate([runner.run(image) for image in inputs])
