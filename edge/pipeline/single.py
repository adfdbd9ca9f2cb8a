"""Single stages, from files to files: what the commands other than ``deploy`` call."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.check import Standard, check, judged_reference
from edge.accuracy.compare import Accuracy, reference_scores
from edge.accuracy.evaluate import evaluate
from edge.accuracy.gate import Criteria, Verdict, load_gate, require_enough
from edge.accuracy.reference import faults
from edge.backends import find_backend
from edge.backends.engine import MANIFEST, Candidate, Engine, read_engine
from edge.backends.onnxruntime import reference as exact_runner
from edge.errors import InputError, MachineError
from edge.fusion import Fused, fuse
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.images.pictures import read_image
from edge.images.readers import always_one
from edge.latency.estimate import Estimate, estimate
from edge.latency.peaks import measure_peaks
from edge.latency.pixels import PROOF_IMAGES, in_engine
from edge.loading import ModelSource, TaskSource, load_model
from edge.loading.quantized import require_float
from edge.machine.cores import physical_cores
from edge.pipeline.deploy import calibrate_job, fuse_job, propose_for
from edge.pipeline.progress import Progress
from edge.pipeline.segment import Form, segment_images
from edge.pipeline.session import (
    CALIBRATION_IMAGES,
    Request,
    calibration_set,
    frozen,
    network_inputs,
    open_images,
    open_model,
    prepare,
    require_column,
)
from edge.quantization.calibrate import calibrate
from edge.quantization.plan import PrecisionPlan, read_plan
from edge.quantization.ranges import Ranges, read_ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.bench import CandidateSet, Refusal
from edge.search.build import GRAPH, compiled_graph
from edge.search.open_bench import open_bench
from edge.search.plain_candidates import FLOATS
from edge.search.rewrites import NO_RANGES, fuse_for_target
from edge.targets.local import is_local, resolve
from edge.targets.target import find_target
from edge.task.noise import noise_batch

SEARCH_GATE = "99.9"
MANY_IMAGES = 500
"""Compiling once more, with the task inside, takes as long as the host's share of some hundred images."""


def parse_precision(text: str) -> tuple[str, ...]:
    """``int8+fp16`` to ``("int8", "fp16")``: a quantized precision, and the float one of its other layers.

    Raises:
        InputError: not such a pair.
    """
    precision, joined, rest = text.partition("+")
    if not joined:
        return (precision,)
    if precision in FLOATS or rest not in FLOATS:
        raise InputError(f"--precision {text}: write int8 or mixed, a +, and one of {', '.join(FLOATS)}")
    return precision, rest


def build_single(request: Request, progress: Progress) -> Engine:
    """One engine of the first precision asked for; calibrates as a run does, and searches where it is ``mixed``.

    A second one is the float precision of the layers that are left float.

    No verdict is given, but a search has to know what is good enough: without a gate it is :data:`SEARCH_GATE`. Where
    INT8 everywhere is, the engine is an INT8 one.

    Raises:
        MachineError: the precision would not really run here.
        InputError: the graph has nothing that could run in it.
    """
    job = prepare(request, progress)
    precision, bench = "-".join(job.precisions), job.bench
    if job.criteria.gate is None:
        job = replace(job, criteria=replace(job.criteria, gate=load_gate(SEARCH_GATE)))
    out = request.out or Path("runs") / f"{job.folder_name}-{precision}"
    try:
        for asked in job.precisions:
            if reason := bench.refusal(asked):
                raise MachineError(f"--precision {asked}: {reason}; choose another precision")
        fused = fuse_job(job)
        learn = job.precisions[0] not in FLOATS or bench.dialect.floats_by_ranges
        ranges = calibrate_job(job, fused.model) if learn else NO_RANGES
        candidate = _first(propose_for(job, fused.model, ranges).found, job.precisions)
        with job.clock.stage("build"):
            engine = bench.build(candidate, out)
    finally:
        bench.close()
    if isinstance(engine, Refusal):
        raise InputError(engine.reason)
    return engine


def _first(found: CandidateSet, precisions: Sequence[str]) -> Candidate:
    """The candidate of the first precision; a search of ``mixed`` may come to INT8 everywhere."""
    floats = precisions[0] in FLOATS
    candidate = next((c for c in found.candidates if (c.precision in FLOATS) == floats), None)
    if candidate is None:
        raise InputError(f"--precision {precisions[0]}: {found.refusals[0].reason}; choose another precision")
    return candidate


def score_model(
    model: ModelSource,
    data: Path | ImageSet,
    split: str,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    progress: Progress,
) -> tuple[dict[str, float], str | None]:
    """Float scores of a model on one split: dice, iou, recall, precision, and Dice and IoU over pooled pixels.

    Returns:
        The scores, and why the model is useless as a reference, None where it is not.
    """
    if isinstance(model, str | Path) and (Path(model) / MANIFEST).is_file():
        raise InputError(f"{model}: is an engine; add --reference MODEL, the float model to compare it with")
    everything = open_images(data, progress)
    images = everything.split(split)
    loaded = open_model(model, weights, task, progress, dequantize=dequantize)
    if not loaded.task.frozen:
        loaded = frozen(loaded, calibration_set(everything.split("train"), CALIBRATION_IMAGES), progress)
    progress.stage("check", len(images))
    run = exact_runner(loaded).run
    found = evaluate(run, images, loaded.task, progress.advance)
    fault = next(faults(found, images, run, loaded.source or loaded.name), None)
    return reference_scores(found), fault.message if fault else None


def check_engines(
    engines: Sequence[Path],
    data: Path | ImageSet,
    split: str,
    reference: ModelSource,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    gate: str,
    strata: str | None,
    group: str | None,
    allow_small: bool,
    progress: Progress,
) -> list[tuple[str, Accuracy, Verdict]]:
    """Each engine against the float reference on the same images."""
    criteria = Criteria(load_gate(gate), strata, group)
    images = open_images(data, progress).split(split)
    require_enough(criteria.gate, len(images), allow_small)
    opened = [read_engine(path) for path in engines]
    model = open_model(reference, weights, task, progress, opened[0].task, dequantize)
    if not model.task.frozen:  # its figures are those that the engine was built with
        model = replace(model, task=replace(model.task, intensity=opened[0].task.intensity))
    require_column(images, strata, "--strata")
    require_column(images, group, "--group")
    for engine in opened:
        if (engine.task.size, engine.task.classes) != (model.task.size, model.task.classes):
            raise InputError(
                f"{engine.folder}: its task differs from {model.source}'s in size or classes; compare like with like"
            )
    progress.stage("reference", len(images))
    expected = judged_reference(model, images, criteria, progress.advance)
    standard = Standard(images, expected, criteria, allow_small)
    rows = []
    for engine in opened:
        progress.stage(f"check {engine.name}", len(images))
        graph, kind = _graph_of(engine), (engine.precision, engine.rest)
        with closing(find_backend(engine.backend).load(engine)) as runner:
            checked = check(runner, engine.task, graph, *kind, standard, progress.advance)
        rows.append((str(engine.folder), checked.accuracy, checked.verdict))
    return rows


def _graph_of(engine: Engine) -> Model:
    graph = compiled_graph(engine)
    if graph is None:
        raise InputError(
            f"{engine.folder}: {GRAPH} is missing or was changed, so parity cannot be shown; build it again"
        )
    return graph


def segment_with(
    engine: Path,
    images: Sequence[Path],
    out: Path,
    threads: int | None,
    progress: Progress,
    form: Form | None = None,
) -> list[Path]:
    """Masks of images by one engine; where there are many, with its task inside, if that gives the same masks."""
    opened = read_engine(engine)
    progress.stage("segment", len(images))
    with ExitStack() as stack:
        runner = stack.enter_context(closing(find_backend(opened.backend).load(opened, threads)))
        route = None
        if len(images) >= MANY_IMAGES and opened.task.fit != "tile" and all(map(always_one, images)):
            shown = [opened.task.resized(read_image(path)) for path in images[:PROOF_IMAGES]]
            inside = in_engine(opened, runner, shown, threads)
            progress.detail(f"task inside the engine: {inside.reason or f'same masks on {inside.images} images, used'}")
            if inside.runner is not None:
                route = stack.enter_context(closing(inside.runner)).run
        return segment_images(runner, opened.task, images, out, route, progress.advance, form)


def fuse_to_file(
    model: ModelSource,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    target: str,
    out: Path | None,
    threads: int | None,
    progress: Progress,
) -> Fused:
    """Rewrite a model exactly; save the graph where a file is given."""
    found = resolve(find_target(target))
    loaded = require_float(open_model(model, weights, task, progress, dequantize=dequantize))
    progress.stage("fuse")
    with closing(open_bench(found, threads=threads)) as bench:
        fused = fuse_for_target(loaded, found, bench, _noise(loaded))
    if out is not None:
        fused.model.save(out)
    return fused


def calibrate_to_file(
    model: ModelSource,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    data: Path | ImageSet,
    count: int,
    out: Path | None,
    progress: Progress,
) -> Ranges:
    """Learn ranges from the train split; save them where a file is given."""
    images = calibration_set(open_images(data, progress).split("train"), count)
    opened = require_float(open_model(model, weights, task, progress, dequantize=dequantize))
    loaded = frozen(opened, images, progress)
    progress.stage("calibrate", len(images))
    ranges = calibrate(loaded, network_inputs(images, loaded.task), advance=progress.advance)
    if out is not None:
        ranges.save(out)
    return ranges


def quantize_to_file(
    model: ModelSource,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    ranges: Path | Ranges,
    scheme: str,
    plan: Path | None,
    out: Path,
) -> PrecisionPlan:
    """Write a Q/DQ graph by a plan, or by the scheme's own rules."""
    loaded = require_float(load_model(model, weights, task, dequantize=dequantize))
    rules = find_scheme(scheme)
    learned = ranges if isinstance(ranges, Ranges) else read_ranges(ranges)
    if learned.graph_sha256 != loaded.sha256:
        where = "ranges" if isinstance(ranges, Ranges) else ranges
        raise InputError(f"{where}: was learned on another graph than {loaded.source}; calibrate this very graph")
    used = read_plan(plan) if plan else plan_int8(loaded, rules)
    quantize(loaded, learned, used, rules).save(out)
    return used


def estimate_model(
    model: ModelSource,
    weights: Path | None,
    task: TaskSource | None,
    dequantize: bool,
    target: str,
    precision: str,
    progress: Progress,
) -> Estimate:
    """Roofline of the fused model at the target's peaks; this machine's are measured first."""
    found = resolve(find_target(target))
    loaded = require_float(open_model(model, weights, task, progress, dequantize=dequantize))
    progress.stage("estimate")
    fused = fuse(loaded, None, _noise(loaded))
    peaks = measure_peaks(physical_cores()) if found.kind == "cpu" and is_local(found) else None
    # Where this CPU has no half precision, the rest of a quantized network runs in fp32.
    rest = "fp32" if peaks and precision == "int8" and "fp16" not in peaks.operations else None
    return estimate(fused.model, found, precision, peaks, rest)


def _noise(model: Model) -> list[NDArray[np.float32]]:
    return [noise_batch(model.task, seed) for seed in range(2)]
