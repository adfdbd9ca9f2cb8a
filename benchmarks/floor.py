"""What this machine can do at best, and how far each engine is from it.

``python -m benchmarks.floor --out FILE.json [RUN ...]`` measures the multiply rates in fp32, bf16 and int8 and
the memory bandwidth, and times every engine of the run folders, all in every round: a machine that changes its speed
by the minute changes it for both. Every engine has two floors: all multiply-accumulates of the graph that was given at
the rate of the engine's precision, and all weights and maps, written and read once, at the bandwidth. No engine of that
graph and precision can beat the larger one without doing less than the graph says; ``distance`` is the engine's time
over it, the median of the rounds, with the least and the most. The multiply rate is one large convolution's, so a
network may come a few per cent below its floor. A compiler that keeps maps in the cache or fuses passes can beat the
memory floor, a rewritten graph either.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.worker import block
from edge.backends import find_backend
from edge.backends.engine import Engine, read_engine
from edge.backends.runner import Runner
from edge.files import read_json, write_json
from edge.fusion.driver import activation_bytes
from edge.graph.macs import count_macs
from edge.graph.model import Model, read_model
from edge.latency.estimate import Peaks
from edge.latency.peaks import measure_peaks
from edge.machine.environment import environment

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_MIXED = "int8"  # no slower than all of it in INT8


@dataclass(frozen=True)
class Contestant:
    """An engine that is open, and the graph that it was made of.

    Attributes:
        network: name of the run folder.
        engine: what was built.
        runner: runs it.
        source: the graph as it was given.
    """

    network: str
    engine: Engine
    runner: Runner
    source: Model


def floors(model: Model, precision: str, peaks: Peaks) -> dict[str, float]:
    """Milliseconds that the multiplications and the memory traffic of a graph take at least."""
    kind = precision if precision in _BYTES else _MIXED
    weights = sum(int(np.prod(tensor.dims)) for tensor in model.proto.graph.initializer)
    elements = weights + activation_bytes(model.proto) // 4
    return {
        "compute_ms": 2e3 * count_macs(model) / peaks.operations[kind],
        "memory_ms": 1e3 * _BYTES[kind] * elements / peaks.bytes_per_second,
    }


def contestants(run: Path, threads: int) -> list[Contestant]:
    """Every engine of a run folder that its report has a time of, ready to run."""
    source, report = read_model(run / "source.onnx"), read_json(run / "report.json")
    folders = [run / "engines" / row["name"] for row in report["engines"] if row["latency_ms"]]
    engines = [read_engine(folder) for folder in folders]
    return [Contestant(run.name, one, find_backend(one.backend).load(one, threads), source) for one in engines]


def block_ms(one: Contestant, seconds: float) -> float:
    """Median milliseconds of one image, of as many as so many seconds hold."""
    task = one.engine.task
    image = np.random.default_rng(0).random((1, task.in_channels, *task.size), dtype=np.float32)
    return float(np.median(block(partial(one.runner.run, image), seconds)))


def summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """An engine's line: medians over its rounds, and how far the distance ranged."""
    line = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
    distances = [row["distance"] for row in rows]
    return {**line, "least_distance": min(distances), "most_distance": max(distances)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders of edge deploy")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="for each engine, each round")
    arguments = parser.parse_args()
    engines = [one for run in arguments.runs for one in contestants(run, arguments.threads)]
    rounds: list[Peaks] = []
    rows: list[list[dict[str, float]]] = [[] for _ in engines]
    for turn in range(arguments.rounds):
        print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
        rounds.append(peaks := measure_peaks(arguments.threads))
        for one, found in zip(engines, rows, strict=True):
            floor, taken = floors(one.source, one.engine.precision, peaks), block_ms(one, arguments.seconds)
            found.append({"ms": taken, **floor, "distance": taken / max(floor.values())})
    table: dict[str, dict[str, Any]] = {}
    for one, found in zip(engines, rows, strict=True):
        table.setdefault(one.network, {})[one.engine.name] = summary(found)
    kinds = rounds[0].operations
    machine = {
        "gmacs": {name: float(np.median([peaks.operations[name] for peaks in rounds])) / 2e9 for name in kinds},
        "bandwidth_gbs": float(np.median([peaks.bytes_per_second for peaks in rounds])) / 1e9,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
    }
    write_json(arguments.out, {"machine": machine, "engines": table, "environment": environment()})


if __name__ == "__main__":
    main()
