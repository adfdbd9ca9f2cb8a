"""An engine against its reference, image by image: what a report says about accuracy and a gate decides on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from . import scores
from .bootstrap import Interval, paired
from .counts import Counts, count, stack
from .distance import SurfaceDistance, surface_distance
from .evaluate import Evaluation
from .sqnr import clipped_sqnr_db

if TYPE_CHECKING:
    from .scores import Scores

GROUP_COLUMNS = ("group", "patient", "subject", "case", "slide", "sequence")
"""Manifest columns whose rows are not independent; the first that is there is resampled as a whole."""


@dataclass(frozen=True)
class Score:
    """One score of an engine.

    Attributes:
        mean: over images, then over classes.
        retained: engine / reference (1 where the reference scores 0).
        difference: mean of engine minus reference.
        difference_ci95: paired bootstrap interval of the difference.
        lower_bound: lower end of the one-sided 95 % interval.
        detectable: smallest true difference this many images would show (one-sided 5 %, power 80 %).
        micro: over the pooled pixels of all images.
    """

    mean: float
    retained: float
    difference: float
    difference_ci95: tuple[float, float]
    lower_bound: float
    detectable: float
    micro: float


@dataclass(frozen=True)
class ClassScore:
    """Scores of one foreground class, means over images."""

    name: str
    dice: float
    reference_dice: float
    iou: float
    reference_iou: float


@dataclass(frozen=True)
class Stratum:
    """Dice within one value of the strata column."""

    name: str
    images: int
    dice: float
    reference_dice: float
    retained: float


@dataclass(frozen=True)
class ImageScore:
    """Dice of one image, mean over classes."""

    image: str
    dice: float
    reference_dice: float


@dataclass(frozen=True)
class Accuracy:
    """What an engine kept of its reference. Field names are those of ``report.json``.

    Attributes:
        dice, iou: see :class:`Score`.
        recall, precision: means over images, then over classes.
        agreement: mean Dice of the engine's masks against the reference's.
        sqnr_db: against the float source, logits clipped to [-6, 6].
        parity_db: against ONNX Runtime on the same graph; None where it was not measured.
        worst: the images that lost most Dice, worst first.
        images: how many were scored.
        worst_drop: largest loss of Dice of any image, 0 where none lost.
        resampled_by: what the bootstrap drew: "image" or a manifest column.
        units: how many of those there are.
        strata_column: the column, or None.
        strata: largest first.
        classes: one per foreground class.
        hd95: distance between outlines, shown and never gated; None where it could not be measured.
        graph_db: what the engine's graph itself loses against the float source, raw outputs; None: not measured.
        second_db: parity of another executor of the same graph; None where it was not asked.
    """

    dice: Score
    iou: Score
    recall: float
    precision: float
    agreement: float
    sqnr_db: float
    parity_db: float | None
    worst: tuple[ImageScore, ...]
    images: int
    worst_drop: float
    resampled_by: str
    units: int
    strata_column: str | None
    strata: tuple[Stratum, ...]
    classes: tuple[ClassScore, ...]
    hd95: SurfaceDistance | None = None
    graph_db: float | None = None
    second_db: float | None = None


def compare(
    engine: Evaluation,
    reference: Evaluation,
    parity_db: float | None = None,
    strata: str | None = None,
    group: str | None = None,
    worst: int = 3,
) -> Accuracy:
    """Score an engine against the float reference on the same images.

    Args:
        engine, reference: evaluations of the same images in the same order.
        parity_db: measured apart, on the same quantized graph.
        strata: manifest column to score apart.
        group: manifest column to resample by; None looks for one of :data:`GROUP_COLUMNS`.
        worst: how many of the images that lost most to list.

    Raises:
        InputError: a column that the manifest lacks, or maps of different shapes.
        ValueError: the evaluations are of different images.
    """
    if engine.names != reference.names:
        raise ValueError("engine and reference were scored on different images")
    shapes = [np.shape(evaluation.outputs)[1:] for evaluation in (engine, reference)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"the engine returns maps of shape {shapes[0]}, its reference {shapes[1]}; "
            "compare an engine with the model it was made from"
        )
    column = group or find_group([name for name, values in engine.columns.items() if any(values)], strata)
    groups = _column(engine, column) if column else None

    def score(function: Callable[[Counts], Scores]) -> tuple[Score, Interval]:
        values = scores.per_image(function(engine.counts))
        interval = paired(values, scores.per_image(function(reference.counts)), groups)
        mean, reference_mean = (scores.mean(function(e.counts)) for e in (engine, reference))
        micro = scores.micro(function, engine.counts)
        kept = retained(mean, reference_mean)
        return Score(
            mean, kept, interval.difference, interval.ci95, interval.lower_bound, interval.detectable, micro
        ), interval

    (dice, interval), (iou, _) = score(scores.dice), score(scores.iou)
    rows = per_image_dice(engine, reference)
    return Accuracy(
        dice=dice,
        iou=iou,
        recall=scores.mean(scores.recall(engine.counts)),
        precision=scores.mean(scores.precision(engine.counts)),
        agreement=agreement(engine, reference),
        sqnr_db=clipped_sqnr_db(reference.outputs, engine.outputs, engine.task),
        parity_db=parity_db,
        worst=tuple(sorted(rows, key=lambda r: (r.dice - r.reference_dice, r.dice))[:worst]),
        images=len(engine),
        worst_drop=max(0.0, *(row.reference_dice - row.dice for row in rows)),
        resampled_by=column or "image",
        units=interval.units,
        strata_column=strata,
        strata=_strata(rows, _column(engine, strata)) if strata else (),
        classes=_classes(engine, reference),
        hd95=_surface_distance(engine, reference),
    )


def reference_scores(reference: Evaluation) -> dict[str, float]:
    """The ``reference`` entry of a report: dice, iou, recall, precision (means), and ``micro_dice``, ``micro_iou``."""
    means = {name: scores.mean(function(reference.counts)) for name, function in scores.SCORES.items()}
    pooled = {f"micro_{name}": scores.micro(scores.SCORES[name], reference.counts) for name in ("dice", "iou")}
    return {**means, **pooled}


def per_image_dice(engine: Evaluation, reference: Evaluation) -> tuple[ImageScore, ...]:
    """Dice of every image under both, in the order of the images (the report's scatter)."""
    pairs = zip(
        engine.names,
        scores.per_image(scores.dice(engine.counts)),
        scores.per_image(scores.dice(reference.counts)),
    )
    return tuple(ImageScore(name, float(ours), float(theirs)) for name, ours, theirs in pairs)


def agreement(engine: Evaluation, reference: Evaluation) -> float:
    """Mean Dice of the engine's masks against the reference's masks."""
    pairs = zip(engine.labels, reference.labels)
    return scores.mean(scores.dice(stack(count(ours, theirs, engine.task) for ours, theirs in pairs)))


def retained(score: float, reference: float) -> float:
    """``score / reference``; 1 where the reference is 0, since nothing can be lost (the gate refuses that case)."""
    return score / reference if reference > 0 else 1.0


def find_group(filled: Collection[str], strata: str | None) -> str | None:
    """The column that is resampled as a whole where none is named: of :data:`GROUP_COLUMNS`, None for none.

    Args:
        filled: manifest columns that hold a value for any image.
        strata: the column judged apart; where it is a group itself, that one.
    """
    return strata if strata in GROUP_COLUMNS else next((name for name in GROUP_COLUMNS if name in filled), None)


def _surface_distance(engine: Evaluation, reference: Evaluation) -> SurfaceDistance | None:
    ours, theirs = engine.hd95, reference.hd95
    return None if ours is None or theirs is None else surface_distance(ours, theirs, engine.counts)


def _column(evaluation: Evaluation, name: str) -> tuple[str, ...]:
    if name not in evaluation.columns:
        known = ", ".join(evaluation.columns) or "none besides image, mask and split"
        raise InputError(f"manifest.csv: no column {name!r} (it has {known}); name one of those or add it")
    return evaluation.columns[name]


def _strata(rows: Sequence[ImageScore], values: Sequence[str]) -> tuple[Stratum, ...]:
    def stratum(name: str) -> Stratum:
        members = [row for row, value in zip(rows, values) if value == name]
        ours = float(np.mean([row.dice for row in members]))
        theirs = float(np.mean([row.reference_dice for row in members]))
        return Stratum(name or "(none)", len(members), ours, theirs, retained(ours, theirs))

    return tuple(sorted((stratum(name) for name in sorted(set(values))), key=lambda s: -s.images))


def _classes(engine: Evaluation, reference: Evaluation) -> tuple[ClassScore, ...]:
    columns = [
        function(evaluation.counts).mean(axis=0)
        for function in (scores.dice, scores.iou)
        for evaluation in (engine, reference)
    ]
    names = [name for _, name in engine.task.foreground]
    return tuple(ClassScore(name, *map(float, row)) for name, row in zip(names, zip(*columns)))
