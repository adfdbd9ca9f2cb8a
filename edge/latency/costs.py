"""What an engine costs besides its compute: the way from a file to its mask, memory, and energy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.backends.engine import Engine, Runner
from edge.errors import MachineError
from edge.images.image_set import ImageSet
from edge.latency.footprint import Footprint, footprint
from edge.latency.power import Energy, measure_energy
from edge.latency.stages import Stages, image_to_mask
from edge.machine.rails import SHORTEST_S
from edge.targets.local import GPU_BACKENDS

IMAGES = 8
MOST_SECONDS = 1.0
_IDLE_SHARE = 0.5


@dataclass(frozen=True)
class Costs:
    """Of one engine; None where it was not measured.

    Attributes:
        stages: milliseconds from an image file to its mask, step by step; None where the images are in memory.
        memory: of a process that only loads the engine and segments.
        energy: millijoules for each image; None where no meter can be read.
    """

    stages: Stages | None = None
    memory: Footprint | None = None
    energy: Energy | None = None


def measure_costs(engine: Engine, runner: Runner, images: ImageSet, seconds: float, threads: int | None) -> Costs:
    """Time the steps over a few real images, read a power meter where there is one, and take the memory in a process
    of its own.

    Args:
        engine, runner: the same engine, on disk and loaded.
        images: a few of them are taken.
        seconds: of timing, one at most.
        threads: that the engine was loaded with.
    """
    samples, lasting = list(images.spread(IMAGES)), min(seconds, MOST_SECONDS)
    paths: list[Path] = [path for sample in samples for path in sample.files]
    stages = image_to_mask(runner, engine.task, paths, lasting) if paths else None
    batch = engine.task.preprocess(samples[0].plane(engine.task))[None]
    on_gpu = engine.backend in GPU_BACKENDS
    busy, idle = (max(lasting, SHORTEST_S), SHORTEST_S) if on_gpu else (lasting, _IDLE_SHARE * lasting)
    energy = measure_energy(partial(runner.run, batch), busy, idle, gpu=on_gpu)
    try:
        memory = footprint(engine.folder, threads)
    except MachineError:  # short of memory: the engine itself was measured, only this figure is missing
        memory = None
    return Costs(stages, memory, energy)
