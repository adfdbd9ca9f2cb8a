"""Check an engine: the same images through the reference and through the real engine, and what the gate says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.checked import Checked, judged
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Criteria, parity_bar
from edge.accuracy.parity import PARITY_IMAGES, measure_parity
from edge.accuracy.reference import require_useful
from edge.backends.engine import Runner
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.task.task import SegmentationTask

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Standard:
    """What engines are scored on, compared with and judged by.

    Attributes:
        images: with masks.
        reference: the float model on the same images.
        criteria: the gate and its columns.
        allow_small: judge on fewer than 20 images.
        parity_images: how many of the images parity is measured on, twelve at most.
        exact: of graphs that were run for parity before; see :func:`~edge.accuracy.parity.measure_parity`.
    """

    images: ImageSet
    reference: Evaluation
    criteria: Criteria
    allow_small: bool = False
    parity_images: int = PARITY_IMAGES
    exact: dict[str, Array] = field(default_factory=dict, compare=False, repr=False)


def judged_reference(
    model: Model, images: ImageSet, criteria: Criteria, advance: Callable[[], object] | None = None
) -> Evaluation:
    """The float model over the images, refused where it is useless: before any engine is built or blamed.

    Raises:
        UselessReferenceError: see :func:`edge.accuracy.reference.faults`.
        InputError: the task is wrong about the graph's output.
    """
    from edge.backends.onnxruntime import reference

    run = reference(model).run
    found = evaluate(run, images, model.task, advance)
    require_useful(found, images, run, model.source or model.name, criteria.gate is not None)
    return found


def check(
    runner: Runner,
    task: SegmentationTask,
    graph: Model | None,
    precision: str,
    rest: str,
    standard: Standard,
    advance: Callable[[], object] | None = None,
) -> Checked:
    """Score a loaded engine on the images the reference was scored on.

    Args:
        runner: the engine.
        task: the engine's pre- and post-processing.
        graph: what was compiled, for parity; None leaves parity out.
        precision, rest: of the engine; parity is judged by them.
        standard: images, reference and criteria.
        advance: called after each image.

    Raises:
        InputError: too few images, or images that do not decode.
    """
    reference = standard.reference
    few = standard.images.spread(standard.parity_images) if graph is not None else ()
    keep = {sample.name for sample in few}  # parity asks for them again
    evaluation = evaluate(runner.run, standard.images, task, advance, reference.outputs, reference.outlines, keep)
    ran, evaluation = evaluation.kept, replace(evaluation, kept={})
    return judge_evaluation(evaluation, runner, graph, precision, rest, standard, ran)


def judge_evaluation(
    evaluation: Evaluation,
    runner: Runner,
    graph: Model | None,
    precision: str,
    rest: str,
    standard: Standard,
    ran: Mapping[str, Array] | None = None,
) -> Checked:
    """Parity of an engine whose masks were scored, and what the gate says.

    Args:
        evaluation: of the engine, on the standard's images.
        runner, graph, precision, rest, standard: see :func:`check`.
        ran: outputs that are at hand, see :func:`~edge.accuracy.parity.measure_parity`.

    Raises:
        InputError: too few images.
    """
    images, reference = standard.images, standard.reference
    parity = None
    if graph is not None:
        few, places = images.spread(standard.parity_images), {name: at for at, name in enumerate(reference.names)}
        source = {sample.name: reference.outputs[places[sample.name]] for sample in few}
        bar = parity_bar(precision, rest)
        parity = measure_parity(runner, graph, few, bar, source, standard.exact, ran)
    return judged(
        evaluation,
        reference,
        parity,
        standard.criteria.gate,
        precision,
        rest,
        strata=standard.criteria.strata,
        group=standard.criteria.group,
        allow_small=standard.allow_small,
    )


def preprocessed(model: Model, images: ImageSet, count: int) -> Sequence[Array]:
    """So many images spread over the set, as the network takes them: ``[1, channels, height, width]`` float32."""
    return [model.task.preprocess(sample.plane(model.task))[None] for sample in images.spread(count)]
