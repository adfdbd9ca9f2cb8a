"""Check engines, or a model alone, on one split of an image set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from edge.accuracy.check import Standard, check, judged_reference
from edge.accuracy.compare import Accuracy, reference_scores
from edge.accuracy.evaluate import evaluate
from edge.accuracy.gate import Criteria, Verdict, load_gate, require_enough
from edge.accuracy.reference import faults
from edge.backends import find_backend
from edge.backends.engine import MANIFEST, Engine, read_engine
from edge.backends.onnxruntime import reference as exact_runner
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.pipeline.model_request import ModelRequest
from edge.pipeline.progress import Progress
from edge.pipeline.session import (
    CALIBRATION_IMAGES,
    calibration_set,
    frozen,
    open_images,
    require_column,
)
from edge.report.store import REPORT
from edge.search.build import GRAPH, compiled_graph


def score_model(
    source: ModelRequest,
    data: Path | ImageSet,
    split: str,
    progress: Progress,
) -> tuple[dict[str, float], str | None]:
    """Float scores of a model on one split: dice, iou, recall, precision, and Dice and IoU over pooled pixels.

    Returns:
        The scores, and why the model is useless as a reference, None where it is not.
    """
    model = source.model
    for file, kind in ((MANIFEST, "an engine"), (REPORT, "a run")):
        if isinstance(model, str | Path) and (Path(model) / file).is_file():
            raise InputError(f"{model}: is {kind}; add --reference MODEL, the float model to compare it with")
    everything = open_images(data, progress)
    images = everything.split(split)
    loaded = source.open(progress)
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
    reference: ModelRequest,
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
    model = reference.open(progress, opened[0].task)
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
