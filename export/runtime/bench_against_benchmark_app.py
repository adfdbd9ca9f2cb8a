"""How ``segedge-run bench`` compares with OpenVINO's ``benchmark_app`` on one engine, run in turn on a quiet machine.

    python export/runtime/bench_against_benchmark_app.py ENGINE [--run build/runtime/export/runtime/segedge-run]
        [--image IMAGE] [--rounds 7] [--seconds 5]

Both get the same threads, one stream and the engine's own precision hint. Printed: the median over rounds of
(our median / its median) for the network alone (bar: within 3 %), and of (decoded frame to mask / network alone) in
our own run (bar: within 10 %). Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

COMPUTE_BAR, FRAME_BAR = 1.03, 1.10
_MEDIAN = re.compile(r"Median:\s+([\d.]+) ms")


def ours(run: Path, engine: Path, image: Path | None, seconds: float) -> dict[str, Any]:
    """One run of ``segedge-run bench``."""
    command = [str(run), "bench", str(engine), "--json", "--seconds", str(seconds)]
    command += ["--image", str(image)] if image else []
    table: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return table


def theirs(engine: Path, conditions: dict[str, Any], seconds: float) -> float:
    """Median of one run of ``benchmark_app``, milliseconds."""
    artefact = json.loads((engine / "engine.json").read_text(encoding="utf-8"))["artefact"]
    hint = {"f32": "f32", "float": "f32", "bf16": "bf16", "bfloat16": "bf16", "f16": "f16"}
    command = [
        str(Path(sys.executable).with_name("benchmark_app")),
        *("-m", str(engine / artefact), "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1"),
        *("-nthreads", str(conditions["threads"]), "-infer_precision", hint[str(conditions["precision_hint"])]),
        *("-t", str(max(1, round(seconds)))),
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = _MEDIAN.search(output)
    if found is None:
        raise SystemExit(f"benchmark_app printed no median:\n{output[-2000:]}")
    return float(found[1])


def main() -> int:
    """Measure in turn, print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--run", type=Path, default=Path("build/runtime/export/runtime/segedge-run"))
    parser.add_argument("--image", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    against_app, frame_over_compute = [], []
    for turn in range(arguments.rounds):
        if turn % 2 == 0:
            table = ours(arguments.run, arguments.engine, arguments.image, arguments.seconds)
            app = theirs(arguments.engine, table["latency_ms"]["conditions"], arguments.seconds)
        else:
            app = theirs(arguments.engine, table["latency_ms"]["conditions"], arguments.seconds)
            table = ours(arguments.run, arguments.engine, arguments.image, arguments.seconds)
        against_app.append(table["latency_ms"]["p50"] / app)
        frame_over_compute.append(table["frame_over_compute"])
        print(
            f"round {turn + 1}: compute {table['latency_ms']['p50']:.3f} ms, benchmark_app {app:.3f} ms, "
            f"frame / compute {frame_over_compute[-1]:.3f}",
            flush=True,
        )
    compute, frame = median(against_app), median(frame_over_compute)
    print(f"compute / benchmark_app {compute:.3f} (bar {COMPUTE_BAR}), frame / compute {frame:.3f} (bar {FRAME_BAR})")
    return int(compute > COMPUTE_BAR or frame > FRAME_BAR)


if __name__ == "__main__":
    sys.exit(main())
