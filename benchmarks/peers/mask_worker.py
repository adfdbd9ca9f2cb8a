"""One contestant from 8-bit pictures to masks in a process of its own: what it holds in memory, how long it takes.

Nothing but the contestant, numpy and the task is loaded here. JSON lines go each way, as in :mod:`.worker`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.builders import BUILDERS
from benchmarks.peers.setting import IMAGES, TASK, Setting
from benchmarks.peers.worker import block, sentence, start
from edge.files import read_json
from edge.task.task import SegmentationTask

OURS_IN_ENGINE = "ours-in-engine"
"""Our engine with its task compiled in, beside the names of ``BUILDERS``."""

ToMask = Callable[[NDArray[Any]], NDArray[np.uint8]]


def main() -> None:
    answer, setting = start()
    task = SegmentationTask.from_table(read_json(setting.pictures / TASK), setting.pictures / TASK)
    pictures = np.load(setting.pictures / IMAGES)
    began = time.perf_counter()
    try:
        to_mask = load(setting, task)
        to_mask(pictures[0])
    except Exception as error:  # a peer that crashes is a row with its error
        answer(error=sentence(error))
        return
    answer(ready=True, seconds=time.perf_counter() - began)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "time":
            answer(ms=block(partial(to_mask, pictures[0]), command["seconds"]))
        elif command["do"] == "peak":
            for picture in pictures[1:]:
                to_mask(picture)
            answer(peak_mb=peak_mb())


def load(setting: Setting, task: SegmentationTask) -> ToMask:
    """From ``[height, width, channels]`` at the network's size to the mask there.

    A peer's network is all that it brings: the task's own numpy is put around it, as a user would.
    """
    if setting.peer == OURS_IN_ENGINE:
        from edge.backends import find_backend
        from edge.backends.engine import PixelBackend, read_engine

        engine = read_engine(setting.engine)
        backend = find_backend(engine.backend)
        assert isinstance(backend, PixelBackend)  # the parent has tried it
        return backend.load_pixels(engine, setting.threads).run
    run = BUILDERS[setting.peer](setting)
    return lambda picture: task.decide(run(task.normalized(picture)[None])[0])


def peak_mb() -> float:
    """The most of this process that was ever resident, megabytes: the kernel's own high-water mark."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
