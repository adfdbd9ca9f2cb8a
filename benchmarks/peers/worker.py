"""One peer in a process of its own: builds, then times and evaluates on command, one JSON line each way."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.builders import BUILDERS
from benchmarks.peers.setting import Setting


def main() -> None:
    answer, setting = start()
    image = np.ascontiguousarray(np.load(setting.calibration)[:1])
    began = time.perf_counter()
    try:
        run = BUILDERS[setting.peer](setting)
        run(image)
    except Exception as error:  # a peer that crashes is a row with its error
        answer(error=sentence(error))
        return
    answer(ready=True, seconds=round(time.perf_counter() - began, 2))
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "time":
            answer(ms=block(partial(run, image), command["seconds"]))
        elif command["do"] == "evaluate":
            np.save(command["outputs"], np.concatenate([run(x[None]).copy() for x in np.load(command["inputs"])]))
            answer(done=True)


def start() -> tuple[Callable[..., None], Setting]:
    """What writes an answer, and what the parent tells first."""
    # Compilers chat on stdout; keep the real one for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**table: Any) -> None:
        answers.write(json.dumps(table) + "\n")
        answers.flush()

    return answer, Setting.from_table(json.loads(sys.stdin.readline()))


def sentence(error: Exception) -> str:
    """An error's kind and first line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:400]


def block(run: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of each run, back to back."""
    run()  # finds another peer's data in the caches
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - began))
    return times


if __name__ == "__main__":
    main()
