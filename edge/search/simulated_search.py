"""The search for a device that is not here: times estimated from its table, accuracy simulated in ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from edge.accuracy.gate import Criteria
from edge.backends.engine import Candidate, Layer
from edge.backends.onnxruntime import OnnxRuntime
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.estimate import Peaks, target_peaks
from edge.latency.quantized import estimate_quantized
from edge.machine.environment import versions
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES
from edge.search.bench import Array, GateResult, LocalBench, Profile
from edge.search.cache import MeasurementCache, asked_of
from edge.search.plan_measurements import PlanMeasurements
from edge.search.search import Progress, Search, SearchResult
from edge.targets.target import Target

HARM_IMAGES = 6
_ARITHMETIC_ONLY = "its table has no memory rate: arithmetic alone, INT8 taken as twice as fast as {}"
_MEMORY_ONLY = "its table has no rate of INT8 beside one of {}: the time to move data alone"


class SimulatedBench:
    """What can be said of a device's engines without the device.

    Accuracy is that of the FP32 graph with Q/DQ, run by ONNX Runtime with its optimizations on, several times as fast
    as off; where these compute something else the parity check of :class:`~edge.search.bench.LocalBench` says
    so. What FP16 adds (60 dB and more against INT8's 30) is left to the graphs that come out, which are scored exactly.

    Args:
        target: the device.
        model: the float graph whose FP32 run every candidate is compared with.
        images: search images with masks (val, never test).
        criteria: what they are judged by, the same as of the verdict.
        peaks: of the device.
        threads: CPU threads, None for all usable cores.
    """

    measured = False

    def __init__(
        self,
        target: Target,
        model: Model,
        images: ImageSet,
        criteria: Criteria,
        peaks: Peaks,
        threads: int | None = None,
    ) -> None:
        self._peaks = peaks
        self._simulation = LocalBench(OnnxRuntime(), target, model, images, criteria, threads)

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile]]:
        """One table for each: an estimate does not vary."""
        return [[self._layers(candidate)] for candidate in candidates]

    def outputs(self, candidate: Candidate, images: int) -> Array:
        """See :class:`~edge.search.bench.Bench`."""
        return self._simulation.outputs(candidate, images)

    def judge(self, candidate: Candidate) -> GateResult:
        """See :class:`~edge.search.bench.Bench`."""
        return self._simulation.judge(replace(candidate, rest="fp32"))

    def times(self, candidates: Sequence[Candidate]) -> list[float]:
        """Sums of the layers' estimates, in milliseconds; only their ratios mean anything."""
        return [sum(layer.ms or 0.0 for layer in self._layers(candidate)) for candidate in candidates]

    def _layers(self, candidate: Candidate) -> Profile:
        rows = estimate_quantized(candidate.model, candidate.rest, self._peaks)
        return tuple(Layer(row.name, row.op, row.precision, row.ms) for row in rows)


def search_simulated(
    model: Model,
    ranges: Ranges,
    images: ImageSet,
    target: Target,
    criteria: Criteria,
    rest: str = "fp16",
    budget_seconds: float = 300.0,
    threads: int | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> SearchResult:
    """Search for a TensorRT device, which is not needed.

    Args:
        model: the float graph (after fusion).
        ranges: of its tensors.
        images: the search images (val). Never give it the test split.
        target: the device; TensorRT's rules and its table decide.
        criteria: what an engine is judged by, the same as of the verdict.
        rest: float precision of what is not in INT8.
        budget_seconds, threads, progress, keep: see :func:`~edge.search.local_search.search`.

    Returns:
        Plans by estimated time. Their graphs are written for no TensorRT yet.

    Raises:
        InputError: ONNX Runtime refuses the graph, or images do not decode.
    """
    scheme = SCHEMES["tensorrt"]
    peaks = plan_peaks(target, rest)
    memory = MeasurementCache(
        keep,
        {
            **asked_of(model, ranges, images, criteria, target, scheme.name),
            "compiler": versions(("onnxruntime",)),
            "peaks": asdict(peaks),
        },
    )
    bench = SimulatedBench(target, model, images, criteria, peaks, threads)
    workbook = PlanMeasurements(model, ranges, scheme, bench, memory, harm_images=HARM_IMAGES)
    found = Search(workbook, budget_seconds, progress).run([rest])
    return replace(found, log=(f"times are estimates from {peaks.source}", *found.log))


def plan_peaks(target: Target, rest: str) -> Peaks:
    """A target's peaks, for comparing INT8 with a float precision.

    A rate that the table has of one of the two only would favour the other, and is left out. Where the table says
    nothing of memory, what every tensor core has in common is taken: INT8 at twice the rate of FP16.
    """
    try:
        peaks = target_peaks(target)
    except InputError:
        return Peaks({"int8": 2e12, rest: 1e12}, math.inf, _ARITHMETIC_ONLY.format(rest.upper()))
    if "int8" in peaks.operations and rest in peaks.operations:
        return peaks
    return Peaks({}, peaks.bytes_per_second, _MEMORY_ONLY.format(rest.upper()))
