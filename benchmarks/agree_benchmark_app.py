"""Does our latency agree with OpenVINO's own ``benchmark_app``? The same engine, the same settings, taken in turn.

Example: python -m benchmarks.agree_benchmark_app runs/unet-cpu/engines/fp32 --rounds 10 --seconds 3

Each round times the engine here and in ``benchmark_app`` (a process of its own), in alternating order; the figure is
the median over rounds of the ratio of the two medians, with its bootstrap interval. Agreement is within 5 %.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edge.backends.engine import Engine, read_engine
from edge.backends.openvino.backend import OpenVino
from edge.backends.openvino.network import HINTS
from edge.latency.timing import measure, ratio
from edge.machine.environment import environment

LIMIT = 0.05


def main() -> int:
    """0 where the two agree within 5 %, 1 where they do not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path, help="engine folder of the OpenVINO backend")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3, help="for each of the two, each round")
    parser.add_argument("--threads", type=int, help="default: one per physical core")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()

    engine = read_engine(arguments.engine)
    runner = OpenVino().load(engine, arguments.threads)
    threads = int(runner.conditions()["threads"])
    image = np.random.default_rng(0).random((1, engine.task.in_channels, *engine.task.size), dtype=np.float32)
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(arguments.rounds):
        steps = [
            lambda: ours.append(measure(partial(runner.run, image), arguments.seconds, min_runs=10).p50),
            lambda: theirs.append(benchmark_app(engine, threads, arguments.seconds)),
        ]
        for step in steps[:: 1 if turn % 2 == 0 else -1]:
            step()
        print(f"round {turn + 1}: ours {ours[-1]:.3f} ms, benchmark_app {theirs[-1]:.3f} ms", file=sys.stderr)
    found = ratio([np.array([value]) for value in ours], [np.array([value]) for value in theirs])
    agrees = abs(found.ratio - 1.0) <= LIMIT
    figures = {
        "engine": engine.name,
        "threads": threads,
        "ours_p50_ms": ours,
        "benchmark_app_median_ms": theirs,
        "ratio": found.ratio,
        "ci95": found.ci95,
        "agrees_within": LIMIT,
        "agrees": agrees,
        "environment": environment(),
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0 if agrees else 1


def benchmark_app(engine: Engine, threads: int, seconds: int) -> float:
    """Median latency in milliseconds: one synchronous request, one stream, the engine's own precision."""
    settings = ("-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads", str(threads))
    with tempfile.TemporaryDirectory() as folder:
        report = ("-report_type", "no_counters", "-report_folder", folder)
        told = app_output(engine.folder / engine.artefact, HINTS[engine.rest], seconds, (*settings, *report))
    match = re.search(r"Median:\s+([0-9.]+) (ms|us)", told)
    if match is None:
        raise SystemExit(f"benchmark_app gave no median:\n{told}")
    return float(match[1]) / (1000.0 if match[2] == "us" else 1.0)


def app_output(graph: Path, precision: str, seconds: int, settings: Sequence[str]) -> str:
    """What ``benchmark_app`` prints of a graph on the CPU, float32 in.

    Left alone the tool gives an image input 8-bit integers and puts a conversion into the graph: not the same work.

    Args:
        graph: ONNX or IR.
        precision: of what is not INT8, in OpenVINO's word.
        seconds: that it keeps the graph busy.
        settings: further options.
    """
    tool = shutil.which("benchmark_app") or str(Path(sys.executable).with_name("benchmark_app"))
    fixed = ("-m", str(graph), "-d", "CPU", "-infer_precision", precision, "-ip", "f32", "-t", str(seconds))
    done = subprocess.run([tool, *fixed, *settings], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
