"""The C++ runtime's three bars, on engines of the OpenVINO backend, taken in turn on a quiet machine.

    make runtime
    python -m benchmarks.runtime unet=runs/unet-cpu/engines/int8 litenext=runs/litenext-cpu/engines/fp32 \\
        --out benchmarks/results/runtime.json

Every round times every engine in ``segedge-run bench`` and in OpenVINO's ``benchmark_app`` (a process each, the same
threads, one stream, the engine's own precision), in alternating order. Figures are medians over rounds, with the
bootstrap interval of the median:

- ``compute``: the network alone in ours over its median in ``benchmark_app``; at most 1.03.
- ``frame``: decoded frame to mask over the network alone, both in ours; at most 1.10.
- ``heap``: bytes by which the heap grows over 10 000 frames after warm-up; at most 0.

Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agree_benchmark_app import benchmark_app
from edge.backends.engine import Engine, read_engine
from edge.errors import EdgeError
from edge.files import write_json
from edge.latency.timing import ratio
from edge.machine.environment import environment

SCHEMA = "edge.runtime/1"
COMPUTE_BAR, FRAME_BAR, HEAP_BAR = 1.03, 1.10, 0
RUN = Path("build/runtime/export/runtime/segedge-run")


@dataclass
class Series:
    """One engine's rounds.

    Attributes:
        engine: what was timed.
        benches: what ``segedge-run bench --json`` printed, a round each.
        app_ms: median of ``benchmark_app``, a round each, milliseconds.
    """

    engine: Engine
    benches: list[dict[str, Any]] = field(default_factory=list)
    app_ms: list[float] = field(default_factory=list)

    def p50(self, region: str) -> list[float]:
        """Medians of ``latency_ms``, ``frame_ms`` or ``steps_ms``, milliseconds."""
        return [float(bench[region]["p50"]) for bench in self.benches]


def bench(run: Path, engine: Engine, *options: str) -> dict[str, Any]:
    """One run of ``segedge-run bench``."""
    done = subprocess.run(
        [str(run), "bench", str(engine.folder), "--json", *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"{run}: ended with code {done.returncode}")
    table: dict[str, Any] = json.loads(done.stdout)
    return table


def measured(
    run: Path, engines: Mapping[str, Engine], rounds: int, seconds: float, frames: int, options: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """All engines in turn: name to :func:`figures`.

    Args:
        run: ``segedge-run``.
        engines: by the name to report.
        rounds: how often both tools time every engine.
        seconds: for each timing.
        frames: for the heap.
        options: more words for every ``bench``.
    """
    series = {name: Series(engine) for name, engine in engines.items()}
    # Also the warm-up of the machine, and how many threads each engine takes.
    first = {
        name: bench(run, engine, "--seconds", "0.1", "--heap-frames", str(frames), *options)
        for name, engine in engines.items()
    }
    for turn in range(rounds):
        for name, one in series.items():
            threads = int(first[name]["latency_ms"]["conditions"]["threads"])
            _round(run, one, threads, seconds, options, ours_first=turn % 2 == 0)
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return {name: figures(one, first[name]["heap"]) for name, one in series.items()}


def _round(
    run: Path, series: Series, threads: int, seconds: float, options: Sequence[str], *, ours_first: bool
) -> None:
    def ours() -> None:
        series.benches.append(bench(run, series.engine, "--seconds", str(seconds), *options))

    def theirs() -> None:
        series.app_ms.append(benchmark_app(series.engine, threads, max(1, round(seconds))))

    for step in (ours, theirs) if ours_first else (theirs, ours):
        step()


def figures(series: Series, heap: Mapping[str, Any]) -> dict[str, Any]:
    """The three bars of one engine, and what they were computed from."""
    compute, frame = series.p50("latency_ms"), series.p50("frame_ms")
    last = series.benches[-1]
    return {
        "engine": series.engine.name,
        "precision": series.engine.precision,
        "artefact_sha256": dict(series.engine.artefact_sha256),
        "image": last["image"],
        "conditions": last["latency_ms"]["conditions"],
        "compute": _bar(compute, series.app_ms, COMPUTE_BAR),
        "frame": _bar(frame, compute, FRAME_BAR),
        "heap": {**heap, "bar": HEAP_BAR, "passed": heap["grown_bytes"] <= HEAP_BAR},
        "rounds": {
            "compute_p50_ms": compute,
            "frame_p50_ms": frame,
            "steps_p50_ms": series.p50("steps_ms"),
            "benchmark_app_median_ms": series.app_ms,
        },
        "warnings": sorted({w.split(":")[0] for b in series.benches for w in b["latency_ms"]["warnings"]}),
    }


def _bar(ours: Sequence[float], theirs: Sequence[float], bar: float) -> dict[str, Any]:
    found = ratio([np.array([value]) for value in ours], [np.array([value]) for value in theirs])
    return {"ratio": found.ratio, "ci95": found.ci95, "bar": bar, "passed": found.ratio <= bar}


def line(name: str, table: Mapping[str, Any]) -> str:
    """One engine in words."""
    parts = [
        f"{key} {table[key]['ratio']:.3f} ({table[key]['ci95'][0]:.3f} to {table[key]['ci95'][1]:.3f}, bar "
        f"{table[key]['bar']:.2f}{'' if table[key]['passed'] else ': MISSED'})"
        for key in ("compute", "frame")
    ]
    heap = table["heap"]
    return f"{name}: {', '.join(parts)}, heap +{heap['grown_bytes']} bytes over {heap['frames']} frames"


def _named(word: str) -> tuple[str, Engine]:
    name, _, folder = word.rpartition("=")
    engine = read_engine(Path(folder))
    return name or engine.folder.resolve().name, engine


def main() -> int:
    """0 where every engine keeps every bar, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="+", metavar="[NAME=]ENGINE", help="engine folders of the OpenVINO backend")
    parser.add_argument("--run", type=Path, default=RUN, help="the built segedge-run")
    parser.add_argument("--image", type=Path, help="PNG or JPEG; default noise of the network's own size, RGB")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each timing of each round")
    parser.add_argument("--frames", type=int, default=10_000, help="for the heap")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    if not arguments.run.is_file():
        raise SystemExit(f"{arguments.run}: no such program; run make runtime first, or give --run")
    image = ["--image", str(arguments.image)] if arguments.image else []
    try:
        engines = dict(map(_named, arguments.engines))
    except EdgeError as error:
        raise SystemExit(str(error)) from None
    tables = measured(arguments.run, engines, arguments.rounds, arguments.seconds, arguments.frames, image)
    for name, table in tables.items():
        print(line(name, table))
    if arguments.out:
        write_json(arguments.out, {"schema": SCHEMA, "engines": tables, "environment": environment()})
    kept = all(table[key]["passed"] for table in tables.values() for key in ("compute", "frame", "heap"))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
