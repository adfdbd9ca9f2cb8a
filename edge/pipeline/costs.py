"""What an engine costs besides its compute: the way from a file to its mask, memory, and the estimate beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.backends.engine import Engine, Runner
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.estimate import Estimate, Peaks, estimate
from edge.latency.footprint import Footprint, footprint
from edge.latency.peaks import measure_peaks
from edge.latency.stages import Stages, image_to_mask
from edge.machine.cores import physical_cores
from edge.report.results import Estimated
from edge.targets.target import Target

IMAGES = 8
MOST_SECONDS = 1.0
_ALL_INT8 = "every layer that may be quantized is taken as INT8, which is a floor for any mixture"


@dataclass(frozen=True)
class Costs:
    """Of one engine; None where it was not measured, or nothing is known to estimate from.

    Attributes:
        stages: milliseconds from an image file to its mask, step by step; None where the images are in memory.
        memory: of a process that only loads the engine and segments.
        estimated: the device's peaks, never a measurement.
    """

    stages: Stages | None = None
    memory: Footprint | None = None
    estimated: Estimated | None = None


def measure_costs(
    engine: Engine, runner: Runner, images: ImageSet, seconds: float, threads: int | None, estimated: Estimated | None
) -> Costs:
    """Time the steps over a few real images, and take the memory in a process of its own.

    Args:
        engine, runner: the same engine, on disk and loaded.
        images: a few of them are taken.
        seconds: of timing, one at most.
        threads: that the engine was loaded with.
        estimated: from :func:`estimates`.
    """
    paths: list[Path] = [path for sample in images.spread(IMAGES) for path in sample.files]
    stages = image_to_mask(runner, engine.task, paths, min(seconds, MOST_SECONDS)) if paths else None
    try:
        memory = footprint(engine.folder, threads)
    except MachineError:  # short of memory: the engine itself was measured, only this figure is missing
        memory = None
    return Costs(stages, memory, estimated)


def local_peaks(target: Target, threads: int | None) -> Peaks | None:
    """This CPU's own, measured with OpenVINO; None where that is not installed, and for a GPU, which has a table."""
    if target.backend != "openvino":
        return None
    try:
        return measure_peaks(threads or physical_cores())
    except MachineError:
        return None


class Estimator(Protocol):
    """Precision, precision of the rest, and measured median in ms (None: not measured) to an estimate."""

    def __call__(self, precision: str, rest: str, measured_ms: float | None = None) -> Estimated | None: ...


def estimator(model: Model, target: Target, peaks: Peaks | None = None) -> Estimator:
    """How fast a target would be at its peaks, with the error wherever a measurement stands beside it.

    Args:
        model: the fused float graph that all engines start from.
        target: the device.
        peaks: instead of its table (measured ones, for this machine).
    """
    known: dict[tuple[str, str], Estimate | None] = {}

    def estimated(precision: str, rest: str, measured_ms: float | None = None) -> Estimated | None:
        key = ("int8" if precision == "mixed" else precision, rest)
        if key not in known:
            known[key] = _estimate(model, target, *key, peaks)
        found = known[key]
        if found is None:
            return None
        error = None if measured_ms is None else found.error(measured_ms)
        assumptions = (*found.assumptions, *((_ALL_INT8,) if precision == "mixed" else ()))
        return Estimated(found.kind, found.ms, error, found.source, assumptions)

    return estimated


def _estimate(model: Model, target: Target, precision: str, rest: str, peaks: Peaks | None) -> Estimate | None:
    try:
        return estimate(model, target, precision, peaks, rest)
    except InputError:  # the target's table does not say enough
        return None
