"""Fusion on a zoo of small networks, against OpenVINO's own compile of the source graph.

``python -m benchmarks.zoo --out FILE.json`` fuses every fixture of ``tests/fixtures/zoo.py`` as ``edge deploy`` would
(measured here, the source kept where nothing pays) and times what came of it against the source, both compiled by
OpenVINO in the fastest float precision of this machine, interleaved in one run. ``ratio`` is the source's time over the
fused graph's: above 1, fusion pays. A fixture is ``slower`` where the whole 95 % interval lies below 1.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.files import write_json
from edge.graph.model import Model
from edge.latency.timing import Measured, interleave, ratio
from edge.machine.environment import environment
from edge.search.deadline import Deadline
from edge.search.floats import floats_of, race_floats
from edge.search.open_bench import open_bench
from edge.search.rewrites import fuse_for_target
from edge.targets.target import Target, find_target
from tests.fixtures.zoo import ZOO

SCHEMA = "edge.zoo/1"


def compare(
    models: Sequence[Model],
    image: NDArray[np.float32],
    target: Target,
    precision: str,
    seconds: float,
    threads: int | None,
) -> list[Measured]:
    """Build and time graphs against each other on this machine."""
    backend = find_backend(target.backend)
    with ExitStack() as stack:
        runs, conditions = {}, {}
        for index, model in enumerate(models):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engine = backend.build(Candidate(model.name, precision, precision, model), target, folder)
            runner = stack.enter_context(closing(backend.load(engine, threads)))
            runs[str(index)] = partial(runner.run, image)
            conditions[str(index)] = {**runner.conditions(), "timed_region": "host array in, host array out"}
        measured = interleave(runs, seconds, conditions=conditions)
    return [measured[name] for name in runs]


def fixture(name: str, size: int, target: Target, arguments: argparse.Namespace) -> dict[str, Any]:
    """One row: what was applied, both medians, and their ratio."""
    model = ZOO[name](size)
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(1, 3, size, size)).astype(np.float32) for _ in range(2)]
    with closing(open_bench(target, threads=arguments.threads)) as bench:
        deadline = Deadline.after(arguments.budget)
        race = race_floats(model, bench, floats_of(bench), images, deadline)
        fused = fuse_for_target(model, target, bench, images, deadline, race)
    precision = race.fastest
    ours, peer = compare([fused.model, model], images[0], target, precision, arguments.seconds, arguments.threads)
    found = ratio(peer.blocks, ours.blocks)
    return {
        "precision": precision,
        "applied": {step.rewrite: step.times for step in fused.applied},
        "untouched": fused.model.sha256 == model.sha256,
        "max_error": fused.max_error,
        "fused_ms": ours.p50,
        "source_ms": peer.p50,
        "ratio": found.ratio,
        "ratio_ci95": list(found.ci95),
        "slower": found.ci95[1] < 1.0,
        "warnings": sorted({*ours.warnings, *peer.warnings}),
        "conditions": dict(ours.conditions),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256, help="height and width of the input, a multiple of 16")
    parser.add_argument("--seconds", type=float, default=5.0, help="timed for each of the two")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of choosing rewrites for each fixture")
    parser.add_argument("--threads", type=int, default=None, help="default: physical cores")
    parser.add_argument("fixtures", nargs="*", metavar="FIXTURE", help=f"default all: {', '.join(ZOO)}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.fixtures) - set(ZOO))
    if unknown:
        parser.error(f"{unknown[0]}: no such fixture; known are {', '.join(ZOO)}")
    target, rows = find_target("cpu"), {}
    for name in arguments.fixtures or ZOO:
        rows[name] = row = fixture(name, arguments.size, target, arguments)
        low, high = row["ratio_ci95"]
        print(f"{name:30} {row['ratio']:.3f} ({low:.3f} to {high:.3f}){' SLOWER' if row['slower'] else ''}", flush=True)
        write_json(
            arguments.out,
            {
                "schema": SCHEMA,
                "size": arguments.size,
                "fixtures": rows,
                "slower": [n for n, r in rows.items() if r["slower"]],
                "geomean_ratio": math.exp(sum(math.log(r["ratio"]) for r in rows.values()) / len(rows)),
                "environment": environment(),
            },
        )


if __name__ == "__main__":
    main()
