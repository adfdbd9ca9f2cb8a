"""The search on this machine: real engines, measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.gate import Criteria
from edge.backends import find_backend
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.machine.environment import versions
from edge.quantization.bias import measure_shifts
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.bench import LocalBench
from edge.search.cache import MeasurementCache, asked_of
from edge.search.plan_measurements import PlanMeasurements
from edge.search.search import Progress, Search, SearchResult
from edge.targets.target import Target


def search(
    model: Model,
    ranges: Ranges,
    images: ImageSet,
    target: Target,
    criteria: Criteria,
    rests: Sequence[str] = ("fp32", "bf16"),
    budget_seconds: float = 300.0,
    threads: int | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
    bias_images: Iterable[NDArray[np.float32]] = (),
) -> SearchResult:
    """Search on this machine.

    Args:
        model: the float graph (after fusion).
        ranges: of its tensors.
        images: the search images (val). Never give it the test split.
        target: this machine; its backend's own dialect is written.
        criteria: what an engine is judged by, the same as of the verdict.
        rests: float precisions to try; those that would not really run are left out.
        budget_seconds: begun measurements are finished, no new ones are started after it. The least that is always
            done is the profiles, and one evaluation for each float precision until a plan passes.
        threads: CPU threads, None for all usable cores.
        progress: see :data:`~edge.search.search.Progress`.
        keep: file for what is measured; a second search with the same inputs reads it, an interrupted one goes on.
        bias_images: calibration images, ``[1, channels, height, width]`` float32 each, to correct biases on; none
            leaves biases alone. It helps some networks and hurts others (U-Net: -2 dB), so it is off by default.

    Raises:
        InputError: the compiler refuses the graph, or images do not decode.
    """
    backend, scheme = find_backend(target.backend), find_scheme(target.backend)
    on_operands = replace(scheme, shared=False)
    shifts = measure_shifts(model, quantize(model, ranges, plan_int8(model, scheme), on_operands), bias_images)
    memory = MeasurementCache(
        keep,
        {
            **asked_of(model, ranges, images, criteria, target, scheme.name),
            "compiler": versions((target.backend.replace("_", "-"), "onnxruntime")),
            "threads": threads,
            "biases": {name: shift.tolist() for name, shift in shifts.items()},
        },
    )
    bench = LocalBench(backend, target, model, images, criteria, threads)
    workbook = PlanMeasurements(model, ranges, scheme, bench, memory, shifts)
    possible = [rest for rest in rests if backend.refusal(rest, target) is None]
    return Search(workbook, budget_seconds, progress).run(possible)
