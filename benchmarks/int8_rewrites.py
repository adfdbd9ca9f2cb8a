"""Would INT8 want other rewrites than float does? ``python -m benchmarks.int8_rewrites MODEL...``.

Rewrites are chosen by their time in the smallest float precision of this machine. This takes the sets that came out
fastest there, writes each as an INT8 graph too (ranges of two images: good enough to time), and times all of them
interleaved, in float and in INT8. The last column is what INT8 would gain from a choice of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import clipped_sqnr_db
from edge.backends.engine import Candidate
from edge.fusion.driver import rewritten
from edge.graph.model import Model
from edge.images.image_set import load_image_set
from edge.loading import load_model
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import Scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.bench import Bench, Effort, Refusal
from edge.search.deadline import Deadline
from edge.search.floats import floats_of, race_floats
from edge.search.open_bench import open_bench
from edge.search.rewrites import fuse_for_target
from edge.targets.target import find_target

_TARGET = find_target("cpu")


@dataclass(frozen=True)
class Timed:
    """One set of rewrites.

    Attributes:
        names: of its rewrites.
        float_ms, int8_ms: medians, interleaved with all others.
        sqnr_db: of the INT8 graph's clipped logits against the float graph's.
    """

    names: tuple[str, ...]
    float_ms: float
    int8_ms: float
    sqnr_db: float


def compare_sets(model: Model, data: Path, sets: int, seconds: float, timed_seconds: float) -> list[Timed]:
    """The fastest sets of rewrites in float and in INT8, in the order of float."""
    images = load_image_set(data).split("val").spread(2)
    inputs = [model.task.preprocess(sample.pixels())[None] for sample in images]
    with closing(open_bench(_TARGET)) as bench:
        return _compared(model, bench, inputs, sets, seconds, timed_seconds)


def _compared(
    model: Model, bench: Bench, inputs: Sequence[NDArray[np.float32]], sets: int, seconds: float, timed_seconds: float
) -> list[Timed]:
    deadline = Deadline.after(seconds)
    race = race_floats(model, bench, floats_of(bench), inputs, deadline)
    fused = fuse_for_target(model, _TARGET, bench, inputs, deadline, race)
    graphs: dict[str, tuple[tuple[str, ...], Model]] = {}
    for names, _ in fused.milliseconds:
        graph, applied = rewritten(model, names)
        graphs.setdefault(graph.sha256, (tuple(applied), graph))
    chosen = list(graphs.values())[:sets]
    rest = race.fastest
    floats = [Candidate("float", rest, rest, graph) for _, graph in chosen]
    quantized = [Candidate("int8", "int8", rest, _in_int8(graph, inputs, bench.dialect.scheme)) for _, graph in chosen]
    rows = bench.times([*floats, *quantized], inputs, Effort(timed_seconds, 15)) or []
    pairs = zip(chosen, rows, rows[len(chosen) :], strict=False)
    return [
        Timed(
            names,
            single.compute.p50,
            whole.compute.p50,
            clipped_sqnr_db(single.outputs, whole.outputs, model.task),
        )
        for (names, _), single, whole in pairs
        if not isinstance(single, Refusal) and not isinstance(whole, Refusal)
    ]


def _in_int8(graph: Model, inputs: Sequence[NDArray[np.float32]], scheme: Scheme) -> Model:
    return quantize(graph, calibrate(graph, inputs, method="min-max"), plan_int8(graph, scheme), scheme)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.int8_rewrites", description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--sets", type=int, default=6, help="how many of the fastest")
    parser.add_argument("--seconds", type=float, default=60.0, help="to choose rewrites in float")
    parser.add_argument("--timed-seconds", type=float, default=2.0, help="for each graph")
    arguments = parser.parse_args()
    for name in arguments.models:
        rows = compare_sets(
            load_model(name, None, None), arguments.data, arguments.sets, arguments.seconds, arguments.timed_seconds
        )
        base = min(rows, key=lambda row: row.float_ms)
        print(f"{name}\n  float ms   int8 ms       dB  int8 against float's choice")
        for row in rows:
            gain = base.int8_ms / row.int8_ms
            listed = ", ".join(row.names) or "(source)"
            print(f"  {row.float_ms:8.2f}  {row.int8_ms:8.2f}  {row.sqnr_db:7.1f}  {gain:.3f}x  {listed}")


if __name__ == "__main__":
    main()
