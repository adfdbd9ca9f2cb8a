"""Check an engine: the same images through the reference and through the real engine, and what the gate says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.accuracy.compare import Accuracy, compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Criteria, Verdict, judge, parity_bar
from edge.accuracy.parity import explained_by, measure_parity
from edge.accuracy.reference import require_useful
from edge.backends.engine import Engine, Runner
from edge.graph.model import Model
from edge.images.image_set import ImageSet


@dataclass(frozen=True)
class Checked:
    """What checking one engine found.

    Attributes:
        evaluation: its masks, counts and outputs.
        accuracy: against the reference.
        verdict: the gate's.
    """

    evaluation: Evaluation
    accuracy: Accuracy
    verdict: Verdict


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


def check_engine(
    engine: Engine,
    runner: Runner,
    graph: Model | None,
    images: ImageSet,
    reference: Evaluation,
    criteria: Criteria,
    *,
    allow_small: bool = False,
    advance: Callable[[], object] | None = None,
) -> Checked:
    """Score a loaded engine on the images the reference was scored on.

    Args:
        engine: what was built.
        runner: the same, loaded.
        graph: what was compiled, for parity; None leaves parity out.
        images: with masks.
        reference: from :func:`judged_reference`, on the same images.
        criteria: what it is judged by.
        allow_small: judge on fewer than 20 images.
        advance: called after each image.

    Raises:
        InputError: too few images, or images that do not decode.
    """
    evaluation = evaluate(runner.run, images, engine.task, advance)
    bar = parity_bar(engine.precision, engine.rest)
    source = dict(zip(reference.names, reference.outputs, strict=True))
    parity = None if graph is None else measure_parity(runner, graph, images, bar, source)
    accuracy = explained_by(
        compare(evaluation, reference, parity.engine_db if parity else None, criteria.strata, criteria.group), parity
    )
    return Checked(evaluation, accuracy, judge(criteria.gate, accuracy, engine.precision, engine.rest, allow_small))
