"""Trials: build graphs that may be thrown away again, time them against each other, and see what they return."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.latency.timing import interleave
from edge.targets.target import Target

TRIAL_SECONDS = 0.4
TRIAL_RUNS = 15


@dataclass(frozen=True)
class Trial:
    """One candidate, built and run.

    Attributes:
        ms: median for each image, interleaved with the other candidates.
        outputs: ``[n, maps, height, width]`` float32, one for each input.
    """

    ms: float
    outputs: NDArray[np.float32]


def try_candidates(
    candidates: Sequence[Candidate],
    inputs: Sequence[NDArray[np.float32]],
    target: Target,
    threads: int | None = None,
    seconds: float = TRIAL_SECONDS,
) -> list[Trial]:
    """Build, run and time every candidate on this machine.

    Args:
        candidates: graphs in the backend's dialect.
        inputs: images, ``[1, channels, height, width]`` float32 each; the first is timed.
        target: the machine this runs on.
        threads: CPU threads, None for all usable cores.
        seconds: timed for each.

    Raises:
        InputError: the compiler refuses a graph.
    """
    backend = find_backend(target.backend)
    with ExitStack() as stack:
        runners = []
        for candidate in candidates:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engine = backend.build(candidate, target, folder)
            runners.append(stack.enter_context(closing(backend.load(engine, threads))))
        outputs = [np.concatenate([runner.run(image) for image in inputs]) for runner in runners]
        runs = {str(index): partial(runner.run, inputs[0]) for index, runner in enumerate(runners)}
        measured = interleave(runs, seconds, TRIAL_RUNS)
    return [Trial(measured[str(index)].p50, output) for index, output in enumerate(outputs)]
