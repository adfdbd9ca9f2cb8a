"""One peer in a process of its own: builds, then times and evaluates on command, one JSON line each way."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.builders import BUILDERS, Run
from benchmarks.peers.setting import Setting


def main() -> None:
    # Compilers chat on stdout; keep the real one for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**table: Any) -> None:
        answers.write(json.dumps(table) + "\n")
        answers.flush()

    table = json.loads(sys.stdin.readline())
    paths = ("source", "calibration", "data", "engine", "scratch")
    setting = Setting(**{**table, **{key: Path(table[key]) for key in paths}})
    image = np.ascontiguousarray(np.load(setting.calibration)[:1])
    start = time.perf_counter()
    try:
        run = BUILDERS[setting.peer](setting)
        run(image)
    except Exception as error:  # a peer that crashes is a row with its error
        answer(error=f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:400])
        return
    answer(ready=True, seconds=round(time.perf_counter() - start, 2))
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "time":
            answer(ms=_block(run, image, command["seconds"]))
        elif command["do"] == "evaluate":
            np.save(command["outputs"], np.concatenate([run(x[None]).copy() for x in np.load(command["inputs"])]))
            answer(done=True)


def _block(run: Run, image: NDArray[np.float32], seconds: float) -> list[float]:
    run(image)  # finds another peer's data in the caches
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run(image)
        times.append(1e3 * (time.perf_counter() - start))
    return times


if __name__ == "__main__":
    main()
