"""Does a deployment come to the same end every time? ``python -m benchmarks.repeat NETWORK... --times 5``.

Each network is deployed several times, every time on another draw of calibration images (all other seeds stay), and the
table says how often the chosen engine passes on the test images, how far its speed varies, and what was chosen.

What the deployments chose is timed in one interleaved run at the end, the first deployment's FP32 engine with them:
their speeds differ by what was chosen, not by the hour in which it was. The spread is the slowest over the fastest,
less one. What each deployment itself measured against its FP32 engine is beside it.

A deployment whose run folder is there is not run again, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.files import write_json
from edge.images.image_set import ImageSet, load_image_set
from edge.latency.statistics import ratio
from edge.machine.environment import environment
from edge.pipeline.deploy import run_deploy
from edge.pipeline.profile import Extras, profile_engines
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import CALIBRATION_IMAGES, Request
from edge.report.results import Report
from edge.report.store import REPORT, read_report

SCHEMA = "edge.repeat/1"


@dataclass(frozen=True)
class Attempt:
    """One deployment.

    Attributes:
        draw: seed of the calibration images.
        chosen: engine, None where none passes.
        retained: share of the Dice that it retains on the test images.
        against_fp32: its time over the FP32 engine's, by the deployment's own report.
        seconds: that the deployment took.
        together: its time over the first deployment's FP32 engine, in one run with all the others' choices.
    """

    draw: int
    chosen: str | None
    retained: float | None
    against_fp32: float | None
    seconds: float
    together: float | None = None


def drawn(images: ImageSet, draw: int, count: int = CALIBRATION_IMAGES) -> ImageSet:
    """The set with only so many of its training images, drawn by a seed; validation and test stay whole.

    Three quarters of them at most, or every draw of a small set would be the same.
    """
    train = [sample.name for sample in images.split("train")]
    most = min(count, 3 * len(train) // 4)
    picked = {train[index] for index in np.random.default_rng(draw).permutation(len(train))[:most]}
    kept = tuple(sample for sample in images if sample.split != "train" or sample.name in picked)
    return replace(images, samples=kept)


def attempt(report: Report, draw: int) -> Attempt:
    """What one report comes to."""
    row = next((row for row in report.engines if row.name == report.chosen), None)
    against = row.against_fp32.ratio if row and row.against_fp32 else None
    retained = row.accuracy.dice.retained if row and row.accuracy else None
    return Attempt(draw, report.chosen, retained, against, round(sum(report.timings.values()), 1))


def timed_together(attempts: Sequence[Attempt], folders: Sequence[Path], seconds: float) -> list[Attempt]:
    """The attempts with the times of what they chose, all in one interleaved run.

    Args:
        attempts: deployments of one network.
        folders: of their runs.
        seconds: for each engine.
    """
    choices = {one.draw: at / "engines" / one.chosen for one, at in zip(attempts, folders, strict=True) if one.chosen}
    baseline = folders[0] / "engines" / "fp32"
    if not choices or not baseline.is_dir():
        return list(attempts)
    engines = list(dict.fromkeys([baseline, *choices.values()]))
    measured = profile_engines(engines, seconds, None, Extras(), NullProgress()).latencies
    exact = measured[str(baseline)].blocks
    return [
        replace(one, together=ratio(measured[str(choices[one.draw])].blocks, exact).ratio)
        if one.draw in choices
        else one
        for one in attempts
    ]


def summary(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """A network's line: how many passed, and the spread of speed among those, together and each by its own report."""
    return {
        "passed": sum(one.chosen is not None for one in attempts),
        "of": len(attempts),
        "speed_spread": _spread([one.together for one in attempts]),
        "reported_spread": _spread([one.against_fp32 for one in attempts]),
        "chosen": dict(Counter(one.chosen or "none" for one in attempts)),
        "attempts": [asdict(one) for one in attempts],
    }


def _spread(ratios: Sequence[float | None]) -> float | None:
    known = [share for share in ratios if share is not None]
    return max(known) / min(known) - 1.0 if known else None


def line(name: str, row: dict[str, Any]) -> str:
    """The table's line of a network."""
    spreads = ("–" if row[key] is None else f"{100 * row[key]:.1f} %" for key in ("speed_spread", "reported_spread"))
    engines = ", ".join(f"{engine} ×{times}" for engine, times in row["chosen"].items())
    return f"| {name} | {row['passed']} of {row['of']} | {' | '.join(spreads)} | {engines} |"


def _deployed(network: str, images: ImageSet, folder: Path) -> Report:
    """A deployment's report, of now or of before; no deployment knows what another one measured."""
    if (folder / REPORT).is_file():
        return read_report(folder)
    cache = folder.with_name(f"{folder.name}-cache").absolute()
    shutil.rmtree(cache, ignore_errors=True)  # of an attempt that was interrupted
    os.environ["XDG_CACHE_HOME"] = str(cache)
    return run_deploy(Request(network, images, out=folder, report_images=False), NullProgress())[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="model folders")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="for each engine of the run that times them together"
    )
    parser.add_argument("--runs", type=Path, default=Path("out/repeat"), help="run folders go here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/repeat.json"))
    arguments = parser.parse_args()
    images, rows = load_image_set(arguments.data), dict[str, Any]()
    print("| network | passes on test | speed varies by | by own reports | chosen |\n| --- | --- | --- | --- | --- |")
    for network in arguments.networks:
        name, attempts = Path(network).name, list[Attempt]()
        folders = [arguments.runs / f"{name}-{draw}" for draw in range(arguments.times)]
        for draw, folder in enumerate(folders):
            attempts.append(attempt(_deployed(network, drawn(images, draw), folder), draw))
        rows[name] = summary(timed_together(attempts, folders, arguments.seconds))
        print(line(name, rows[name]), flush=True)
        write_json(arguments.out, {"schema": SCHEMA, "networks": rows, "environment": environment()})


if __name__ == "__main__":
    main()
