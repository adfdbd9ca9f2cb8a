"""Uint8 in, mask out: from pixels at the network's size to class indices, by two routes.

::

    uint8 [H, W, C] ─ normalise (numpy) ─ engine ─ decide (numpy) ─ uint8 [H, W]       on the host: every engine
    uint8 [H, W, C] ─ engine with its task compiled in ──────────── uint8 [H, W]       in the engine: where it can be

The first route defines the masks and is what the gate judged. The second is believed only where it gives the same
masks, pixel for pixel, on the images it is proven on. Both leave decoding and resizing outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.backends import find_backend
from edge.backends.engine import Engine, PixelBackend, PixelRunner, Runner
from edge.errors import InputError
from edge.latency.statistics import Latency, Ratio
from edge.task.task import SegmentationTask

PixelRun = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

PROOF_IMAGES = 4
ON_HOST, IN_ENGINE = "pixels to mask, on the host", "pixels to mask, inside the engine"
REGION = "uint8 [height, width, channels] array in, uint8 mask out, at the network's size"


@dataclass(frozen=True)
class InEngine:
    """What came of taking the task into an engine.

    Attributes:
        runner: ready to run; None where it cannot be used.
        reason: why not, in one sentence, or "".
        images: how many it was proven on.
    """

    runner: PixelRunner | None
    reason: str = ""
    images: int = 0


@dataclass(frozen=True)
class PixelsToMask:
    """Both routes of one engine, timed in the same interleaved run as its compute alone; never to be added up or mixed.

    Attributes:
        on_host, in_engine: uint8 array in, mask out; ``in_engine`` is None where it cannot be used.
        ratio: in the engine / on the host; None likewise.
        reason: why it cannot be used, or "".
        proven_on: images on which both gave the same masks.
    """

    on_host: Latency
    in_engine: Latency | None
    ratio: Ratio | None
    reason: str
    proven_on: int


def on_host(runner: Runner, task: SegmentationTask) -> PixelRun:
    """The ordinary route: the task's own normalisation and decision around a float engine."""

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return task.decide(runner.run(task.normalized(pixels)[None])[0])

    return run


def in_engine(
    engine: Engine, runner: Runner, images: Sequence[NDArray[np.uint8]], threads: int | None = None
) -> InEngine:
    """Take the task into the engine, and prove it against the ordinary route.

    Args:
        engine: on disk.
        runner: the same engine, loaded.
        images: ``[height, width, channels]`` uint8, as :meth:`SegmentationTask.resized` returns; the proof.
        threads: as for the runner.
    """
    backend = find_backend(engine.backend)
    if not isinstance(backend, PixelBackend):
        return InEngine(None, f"{engine.backend} cannot take the task into the engine")
    try:
        inside = backend.load_pixels(engine, threads)
    except InputError as error:
        return InEngine(None, str(error))
    outside = on_host(runner, engine.task)
    different = sum(int((inside.run(image) != outside(image)).sum()) for image in images)
    if different:
        inside.close()
        return InEngine(None, f"{different} pixels of {len(images)} masks differ from the ordinary route's")
    return InEngine(inside, images=len(images))
