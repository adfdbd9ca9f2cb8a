"""Trials: build graphs that may be thrown away again, and time them against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.latency.timing import interleave
from edge.target import Target

TRIAL_SECONDS = 0.4
TRIAL_RUNS = 15


def time_candidates(
    candidates: Sequence[Candidate], target: Target, threads: int | None = None, seconds: float = TRIAL_SECONDS
) -> list[float]:
    """Median milliseconds of each candidate, all interleaved in one run on this machine.

    Args:
        candidates: graphs in the backend's dialect.
        target: the machine this runs on.
        threads: CPU threads, None for all usable cores.
        seconds: timed for each.

    Raises:
        InputError: the compiler refuses a graph.
    """
    backend = find_backend(target.backend)
    with ExitStack() as stack:
        runs = {}
        for index, candidate in enumerate(candidates):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            runner = stack.enter_context(closing(backend.load(backend.build(candidate, target, folder), threads)))
            task = candidate.model.task
            image = np.random.default_rng(0).random((1, task.in_channels, *task.size), dtype=np.float32)
            runs[str(index)] = lambda runner=runner, image=image: runner.run(image)
        measured = interleave(runs, seconds, TRIAL_RUNS)
    return [measured[str(index)].p50 for index in range(len(candidates))]
