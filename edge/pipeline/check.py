"""Check engines, or a model alone, on one split of an image set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from edge.accuracy.check import Standard, check, judge_evaluation, judged_reference
from edge.accuracy.compare import Accuracy, reference_scores
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Criteria, Verdict, load_gate, require_enough
from edge.accuracy.parity import PARITY_IMAGES
from edge.accuracy.reference import faults, require_useful
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

Advance = Callable[[int], object]


class Elsewhere(Protocol):
    """Scores images on other machines."""

    def __call__(
        self, model: Model, engines: Sequence[Engine], images: ImageSet, whole: Collection[str], advance: Advance
    ) -> tuple[Evaluation, list[Evaluation]]:
        """The float model and engines on the images.

        Args:
            model: the reference.
            engines: each compared with it.
            images: with masks.
            whole: names of images whose reference outputs come back; of the others only their extremes do.
            advance: called with how many images are done more.
        """
        ...


_TWICE = 2  # of the images that are run once more here


def score_model(
    source: ModelRequest,
    data: Path | ImageSet,
    split: str,
    progress: Progress,
    elsewhere: Elsewhere | None = None,
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
    if elsewhere is None:
        found = evaluate(run, images, loaded.task, progress.advance)
    else:
        found, _ = elsewhere(loaded, (), images, _whole(images, 0), progress.advance)
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
    elsewhere: Elsewhere | None = None,
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
    if elsewhere is not None:
        return _checked_elsewhere(opened, model, images, criteria, allow_small, progress, elsewhere)
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


def _checked_elsewhere(
    engines: Sequence[Engine],
    model: Model,
    images: ImageSet,
    criteria: Criteria,
    allow_small: bool,
    progress: Progress,
    elsewhere: Elsewhere,
) -> list[tuple[str, Accuracy, Verdict]]:
    """Masks are made and counted there; parity, on a dozen images, and the verdict here."""
    progress.stage("check", len(images))
    expected, found = elsewhere(model, engines, images, _whole(images, PARITY_IMAGES), progress.advance)
    require_useful(expected, images, exact_runner(model).run, model.source or model.name, criteria.gate is not None)
    standard = Standard(images, expected, criteria, allow_small)
    rows = []
    for engine, evaluation in zip(engines, found, strict=True):
        with closing(find_backend(engine.backend).load(engine)) as runner:
            checked = judge_evaluation(evaluation, runner, _graph_of(engine), engine.precision, engine.rest, standard)
        rows.append((str(engine.folder), checked.accuracy, checked.verdict))
    return rows


def _whole(images: ImageSet, count: int) -> frozenset[str]:
    """Names of the images whose outputs are looked at one by one: the first, and ``count`` spread over the set."""
    first = [sample.name for sample in islice(images, _TWICE)]
    return frozenset([*first, *(sample.name for sample in images.spread(count))] if count else first)


def _graph_of(engine: Engine) -> Model:
    graph = compiled_graph(engine)
    if graph is None:
        raise InputError(
            f"{engine.folder}: {GRAPH} is missing or was changed, so parity cannot be shown; build it again"
        )
    return graph
