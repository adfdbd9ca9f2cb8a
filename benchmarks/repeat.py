"""Does a deployment come to the same end every time? ``python -m benchmarks.repeat NETWORK... --times 5``.

Each network is deployed several times, every time on another draw of calibration images (all other seeds stay), and the
table says how often the chosen engine passes on the test images, how far its speed varies, and what was chosen.

The speed of a run is its time over the FP32 engine's of the same run, round by round, so that a machine that is slow
today does not count. Its spread is the largest over the least, less one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.files import write_json
from edge.images.image_set import ImageSet, load_image_set
from edge.machine.environment import environment
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import CALIBRATION_IMAGES, Request
from edge.report.results import Report

SCHEMA = "edge.repeat/1"


@dataclass(frozen=True)
class Attempt:
    """One deployment.

    Attributes:
        draw: seed of the calibration images.
        chosen: engine, None where none passes.
        retained: share of the Dice that it retains on the test images.
        against_fp32: its time over the FP32 engine's.
        seconds: that the deployment took.
    """

    draw: int
    chosen: str | None
    retained: float | None
    against_fp32: float | None
    seconds: float


def drawn(images: ImageSet, draw: int, count: int = CALIBRATION_IMAGES) -> ImageSet:
    """The set with only so many of its training images, drawn by a seed; validation and test stay whole."""
    train = [sample.name for sample in images.split("train")]
    picked = {train[index] for index in np.random.default_rng(draw).permutation(len(train))[:count]}
    kept = tuple(sample for sample in images if sample.split != "train" or sample.name in picked)
    return replace(images, samples=kept)


def attempt(report: Report, draw: int) -> Attempt:
    """What one report comes to."""
    row = next((row for row in report.engines if row.name == report.chosen), None)
    ratio = row.against_fp32.ratio if row and row.against_fp32 else None
    retained = row.accuracy.dice.retained if row and row.accuracy else None
    return Attempt(draw, report.chosen, retained, ratio, round(sum(report.timings.values()), 1))


def summary(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """A network's line: how many passed, and the spread of speed among those."""
    ratios = [one.against_fp32 for one in attempts if one.against_fp32 is not None]
    return {
        "passed": sum(one.chosen is not None for one in attempts),
        "of": len(attempts),
        "speed_spread": max(ratios) / min(ratios) - 1.0 if ratios else None,
        "chosen": dict(Counter(one.chosen or "none" for one in attempts)),
        "attempts": [asdict(one) for one in attempts],
    }


def line(name: str, row: dict[str, Any]) -> str:
    """The table's line of a network."""
    spread = "–" if row["speed_spread"] is None else f"{100 * row['speed_spread']:.1f} %"
    engines = ", ".join(f"{engine} ×{times}" for engine, times in row["chosen"].items())
    return f"| {name} | {row['passed']} of {row['of']} | {spread} | {engines} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="model folders")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("out/repeat"), help="run folders go here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/repeat.json"))
    arguments = parser.parse_args()
    images, rows = load_image_set(arguments.data), dict[str, Any]()
    print("| network | passes on test | speed varies by | chosen |\n| --- | --- | --- | --- |")
    for network in arguments.networks:
        name, attempts = Path(network).name, list[Attempt]()
        for draw in range(arguments.times):
            request = Request(network, drawn(images, draw), out=arguments.runs / f"{name}-{draw}", report_images=False)
            attempts.append(attempt(run_deploy(request, NullProgress())[0], draw))
        rows[name] = summary(attempts)
        print(line(name, rows[name]), flush=True)
        write_json(arguments.out, {"schema": SCHEMA, "networks": rows, "environment": environment()})


if __name__ == "__main__":
    main()
