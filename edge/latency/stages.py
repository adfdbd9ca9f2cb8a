"""Image to mask, step by step: what of a person's wait is the network, and what is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Runner
from edge.errors import InputError
from edge.images.pictures import read_image
from edge.latency.statistics import percentile
from edge.machine.watch import watched
from edge.task.task import SegmentationTask

FEWEST_ROUNDS = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Stages:
    """Median milliseconds of each step from a file to its mask.

    Attributes:
        decode: the file's bytes to pixels (the file being in the system's cache).
        preprocess: pixels to the network's input.
        copy_in, copy_out: to the device and back; None where the engine computes in the host's memory.
        compute: the network alone.
        postprocess: the network's output to a mask of the image's own size.
        total: median of the sums (not the sum of the medians).
        p90: of the sums.
        images, rounds: how many different images, and how many were timed.
        warnings: what was seen meanwhile that makes these times doubtful, one sentence each.
    """

    decode: float
    preprocess: float
    copy_in: float | None
    compute: float
    copy_out: float | None
    postprocess: float
    total: float
    p90: float
    images: int
    rounds: int
    warnings: tuple[str, ...] = ()


def image_to_mask(runner: Runner, task: SegmentationTask, images: Sequence[Path], seconds: float = 5.0) -> Stages:
    """Time every step over the images in turn, after one untimed pass.

    Args:
        runner: a loaded engine.
        task: its task.
        images: files; real ones, of the sizes that matter.
        seconds: at least this long, and at least five rounds.

    Raises:
        InputError: no images, or one that does not decode.
    """
    if not images:
        raise InputError("no images to time; name at least one")
    apart = "gpu" in runner.time(task.preprocess(read_image(images[0]))[None]).parts
    for path in dict.fromkeys(images):
        _round(runner, task, path, apart)
    rows: list[NDArray[np.float64]] = []
    warnings: list[str] = []
    with watched(warnings):
        end = time.perf_counter() + seconds
        for turn, path in zip(count(), cycle(images), strict=False):
            if turn >= max(FEWEST_ROUNDS, len(images)) and time.perf_counter() >= end:
                break
            rows.append(_round(runner, task, path, apart))
    table = np.array(rows)
    totals = np.sort(np.nansum(table, axis=1))
    decode, preprocess, copy_in, compute, copy_out, postprocess = (
        None if np.isnan(column).all() else float(np.median(column)) for column in table.T
    )
    assert decode is not None and preprocess is not None and compute is not None and postprocess is not None
    return Stages(
        decode,
        preprocess,
        copy_in,
        compute,
        copy_out,
        postprocess,
        total=percentile(totals, 0.5),
        p90=percentile(totals, 0.9),
        images=len(set(images)),
        rounds=len(rows),
        warnings=tuple(warnings),
    )


def _round(runner: Runner, task: SegmentationTask, path: Path, apart: bool) -> NDArray[np.float64]:
    """Milliseconds of the six steps; NaN for the copies where they are not told apart."""
    pixels, decode = _timed(lambda: read_image(path))
    seen, preprocess = _timed(lambda: [one[None] for one in task.inputs(pixels)])
    outputs, compute = _timed(lambda: [runner.run(batch)[0] for batch in seen])
    copy_in = copy_out = float("nan")
    if apart:
        parts = [runner.time(batch).parts for batch in seen]
        copy_in, compute, copy_out = (sum(part[name] for part in parts) for name in ("h2d", "gpu", "d2h"))
    _, postprocess = _timed(lambda: task.assembled(outputs, pixels.shape))
    return np.array([decode, preprocess, copy_in, compute, copy_out, postprocess])


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter_ns()
    result = work()
    return result, (time.perf_counter_ns() - start) / 1e6
