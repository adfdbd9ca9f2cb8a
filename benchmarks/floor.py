"""What this machine can do at best, and how far each engine is from it.

``python -m benchmarks.floor --out FILE.json [RUN ...]`` measures the multiply rates in fp32, bf16 and int8 and
the memory bandwidth. Every engine of the run folders then has two floors: all multiply-accumulates of the graph at the
rate of the engine's precision, and all weights and maps, written and read once, at the bandwidth. No engine of that
graph and precision can beat the larger one without doing less than the graph says; ``distance`` is the engine's median
over it. The multiply rate is one large convolution's, so a network may come a few per cent below its floor. A compiler
that keeps maps in the cache or fuses passes can beat the memory floor, a rewritten graph either.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from edge.files import read_json, write_json
from edge.fusion.driver import activation_bytes
from edge.graph.macs import count_macs
from edge.graph.model import Model, read_model
from edge.latency.estimate import Peaks
from edge.latency.peaks import measure_peaks
from edge.machine.environment import environment

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_MIXED = "int8"  # no slower than all of it in INT8


def floors(model: Model, precision: str, peaks: Peaks) -> dict[str, float]:
    """Milliseconds that the multiplications and the memory traffic of a graph take at least."""
    kind = precision if precision in _BYTES else _MIXED
    weights = sum(int(np.prod(tensor.dims)) for tensor in model.proto.graph.initializer)
    elements = weights + activation_bytes(model.proto) // 4
    return {
        "compute_ms": 2e3 * count_macs(model) / peaks.operations[kind],
        "memory_ms": 1e3 * _BYTES[kind] * elements / peaks.bytes_per_second,
    }


def distances(run: Path, peaks: Peaks) -> dict[str, Any]:
    """Every timed engine of a run folder against the floors of the graph that was given."""
    model, report = read_model(run / "source.onnx"), read_json(run / "report.json")
    rows = {}
    for engine in report["engines"]:
        if engine["latency_ms"]:
            floor, median = floors(model, engine["precision"], peaks), engine["latency_ms"]["p50"]
            rows[engine["name"]] = {"p50_ms": median, **floor, "distance": median / max(floor.values())}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders of edge deploy")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    peaks = measure_peaks(arguments.threads)
    machine = {
        "gmacs": {name: rate / 2e9 for name, rate in peaks.operations.items()},
        "bandwidth_gbs": peaks.bytes_per_second / 1e9,
        "threads": arguments.threads,
    }
    engines = {run.name: distances(run, peaks) for run in arguments.runs}
    write_json(arguments.out, {"machine": machine, "engines": engines, "environment": environment()})


if __name__ == "__main__":
    main()
