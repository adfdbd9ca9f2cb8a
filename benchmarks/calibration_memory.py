"""Peak memory of calibration on few and on many images: ``python -m benchmarks.calibration_memory MODEL``.

Calibrates in a process of its own for each number of images (the train split, repeated), and says what the largest
took over the smallest. Exits with 1 where that is more than 10 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.images.image_set import load_image_set
from edge.loading import load_model
from edge.quantization.calibrate import calibrate

MOST_GROWTH = 1.10


@dataclass(frozen=True)
class Peak:
    """One calibration.

    Attributes:
        images: that it saw.
        megabytes: peak resident set size of the process, imports and network included.
        seconds: of calibrating.
    """

    images: int
    megabytes: float
    seconds: float


def measure(model: str, data: Path, counts: Sequence[int]) -> list[Peak]:
    """Calibrate on each number of images, each in a process of its own, one after the other."""
    peaks = []
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.calibration_memory", model, "--data", str(data)]
        done = subprocess.run([*command, "--alone", str(count)], check=True, stdout=subprocess.PIPE, text=True)
        peaks.append(Peak(**json.loads(done.stdout)))
    return peaks


def calibrate_here(model: str, data: Path, count: int) -> Peak:
    """Calibrate in this process; its peak is only this one's where nothing larger ran before."""
    loaded = load_model(model, None, None)
    train = load_image_set(data).split("train")

    def inputs() -> Iterator[NDArray[np.float32]]:
        for sample in itertools.islice(itertools.cycle(train), count):
            yield loaded.task.preprocess(sample.pixels())[None]

    start = time.perf_counter()
    calibrate(loaded, inputs())
    seconds = time.perf_counter() - start
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux
    return Peak(count, kilobytes / 1024, round(seconds, 2))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration_memory", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--images", type=int, nargs="+", default=[64, 2000])
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone is not None:
        print(json.dumps(asdict(calibrate_here(arguments.model, arguments.data, arguments.alone))))
        return
    peaks = measure(arguments.model, arguments.data, arguments.images)
    for peak in peaks:
        print(f"{peak.images:6} images: {peak.megabytes:7.0f} MB, {peak.seconds:.1f} s")
    growth = peaks[-1].megabytes / peaks[0].megabytes
    print(f"{growth:.3f}x from {peaks[0].images} to {peaks[-1].images} images")
    sys.exit(growth > MOST_GROWTH)


if __name__ == "__main__":
    main()
