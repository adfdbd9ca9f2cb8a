"""Single stages, from file to file: fusion, calibration, quantization, and the estimate."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.errors import InputError
from edge.fusion import Fused, fuse
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.estimate import Estimate, estimate
from edge.latency.peaks import measure_peaks
from edge.loading import ModelSource
from edge.loading.facts import graph_facts, onnx_facts
from edge.loading.quantized import require_float
from edge.machine.cores import physical_cores
from edge.pipeline.deploy import FUSION_SECONDS
from edge.pipeline.model_request import ModelRequest
from edge.pipeline.progress import NullProgress, Progress
from edge.pipeline.session import (
    calibration_set,
    frozen,
    network_inputs,
    open_images,
)
from edge.pipeline.starter import starter
from edge.quantization.calibrate import calibrate
from edge.quantization.plan import PrecisionPlan, read_plan
from edge.quantization.ranges import Ranges, read_ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.deadline import Deadline
from edge.search.open_bench import open_bench
from edge.search.rewrites import fuse_for_target
from edge.targets.local import is_local, resolve
from edge.targets.target import find_target
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask


def fuse_to_file(
    source: ModelRequest,
    target: str,
    out: Path | None,
    threads: int | None,
    progress: Progress,
) -> Fused:
    """Rewrite a model exactly; save the graph where a file is given."""
    found = resolve(find_target(target))
    loaded = require_float(source.open(progress))
    progress.stage("fuse")
    with closing(open_bench(found, threads=threads)) as bench:
        fused = fuse_for_target(loaded, found, bench, _noise(loaded), Deadline.after(FUSION_SECONDS))
    if out is not None:
        fused.model.save(out)
    return fused


def calibrate_to_file(
    source: ModelRequest,
    data: Path | ImageSet,
    count: int,
    out: Path | None,
    progress: Progress,
) -> Ranges:
    """Learn ranges from the train split; save them where a file is given."""
    images = calibration_set(open_images(data, progress).split("train"), count)
    opened = require_float(source.open(progress))
    loaded = frozen(opened, images, progress)
    progress.stage("calibrate", len(images))
    ranges = calibrate(loaded, network_inputs(images, loaded.task), advance=progress.advance)
    if out is not None:
        ranges.save(out)
    return ranges


def quantize_to_file(
    source: ModelRequest,
    ranges: Path | Ranges,
    scheme: str,
    plan: Path | None,
    out: Path,
) -> PrecisionPlan:
    """Write a Q/DQ graph by a plan, or by the scheme's own rules."""
    loaded = require_float(source.open(NullProgress()))
    rules = find_scheme(scheme)
    learned = ranges if isinstance(ranges, Ranges) else read_ranges(ranges)
    if learned.graph_sha256 != loaded.sha256:
        where = "ranges" if isinstance(ranges, Ranges) else ranges
        raise InputError(f"{where}: was learned on another graph than {loaded.source}; calibrate this very graph")
    used = read_plan(plan) if plan else plan_int8(loaded, rules)
    quantize(loaded, learned, used, rules).save(out)
    return used


def estimate_model(
    source: ModelRequest,
    target: str,
    precision: str,
    progress: Progress,
) -> Estimate:
    """Roofline of the fused model at the target's peaks; this machine's are measured first."""
    found = resolve(find_target(target))
    shape = _task_of_shape(source.model, progress) if source.task is None else None
    loaded = require_float(source.open(progress, shape))
    progress.stage("estimate")
    fused = fuse(loaded, None, _noise(loaded))
    peaks = measure_peaks(physical_cores()) if found.kind == "cpu" and is_local(found) else None
    # Where this CPU has no half precision, the rest of a quantized network runs in fp32.
    rest = "fp32" if peaks and precision == "int8" and "fp16" not in peaks.operations else None
    return estimate(fused.model, found, precision, peaks, rest)


def _task_of_shape(model: ModelSource, progress: Progress) -> SegmentationTask | None:
    """For an ONNX graph without a task one of its own shape, all that an estimate asks; None where that is open."""
    if isinstance(model, onnx.ModelProto):
        facts, name = graph_facts(model), model.graph.name or "model"
    elif isinstance(model, (str, Path)) and Path(model).suffix == ".onnx" and Path(model).is_file():
        facts, name = onnx_facts(Path(model)), str(model)
    else:
        return None
    if facts.size is None:
        return None
    progress.detail(f"{name}: without a task of its own it is estimated at its input's {facts.size[0]}x{facts.size[1]}")
    return starter(facts, None, name).task


def _noise(model: Model) -> list[NDArray[np.float32]]:
    return [noise_batch(model.task, seed) for seed in range(2)]
