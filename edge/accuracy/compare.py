"""An engine against its reference, image by image: what a report says about accuracy and a gate decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Collection, Sequence

import numpy as np

from ..errors import InputError
from ..task.decide import counted
from . import scores
from .bootstrap import Interval, paired
from .counts import Counts, count, stack
from .distance import NSD_TOLERANCE, SurfaceDistance, mean_or_none, surface_distance
from .evaluate import Evaluation, require_same_shape
from .sqnr import clipped_sqnr_db
from .volumes import mean_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .scores import Scores

GROUP_COLUMNS = ("group", "patient", "subject", "case", "volume", "slide", "sequence")
"""Manifest columns whose rows are not independent; the first that is there is resampled as a whole."""
CASE_COLUMNS = ("patient", "subject", "case", "volume")
"""Of those, the ones whose rows are slices of one body, which are scored together as well."""


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
    """Scores of one foreground class, means over images.

    Attributes:
        name: of the class.
        dice, iou: of the engine; an image where neither mask has the class counts 1, one where only one has it 0.
        reference_dice, reference_iou: of the reference.
        retained: Dice of the engine / of the reference.
        present: images whose truth has the class.
        hd95, reference_hd95: means over the images where it is defined; None where it is nowhere.
        nsd, reference_nsd: surface Dice, likewise.
    """

    name: str
    dice: float
    reference_dice: float
    iou: float
    reference_iou: float
    retained: float = 1.0
    present: int = 0
    hd95: float | None = None
    reference_hd95: float | None = None
    nsd: float | None = None
    reference_nsd: float | None = None


@dataclass(frozen=True)
class CaseScore:
    """Scores of one case, means over classes.

    Attributes:
        name: of the case.
        images: its slices.
        dice, reference_dice, iou, reference_iou: from the counts of all its slices added up.
        hd95, reference_hd95: between surfaces in three dimensions, millimetres; of several volumes in a case their
            mean; None where no spacing is known, or nowhere both sides have a class.
        nsd, reference_nsd: surface Dice, likewise.
    """

    name: str
    images: int
    dice: float
    reference_dice: float
    iou: float
    reference_iou: float
    hd95: float | None = None
    reference_hd95: float | None = None
    nsd: float | None = None
    reference_nsd: float | None = None


@dataclass(frozen=True)
class CaseScores:
    """Scores per case, as volumes are reported: means over cases, then over classes.

    Attributes:
        column: what tells cases apart: ``volume``, or a column of the manifest.
        dice, iou, reference_dice, reference_iou: means.
        retained: Dice of the engine / of the reference.
        rows: one per case, in the order of the images.
        hd95, reference_hd95, nsd, reference_nsd: means over the cases that have them; see :class:`CaseScore`.
        tolerance: of the surface Dice, in millimetres.
    """

    column: str
    dice: float
    reference_dice: float
    iou: float
    reference_iou: float
    retained: float
    rows: tuple[CaseScore, ...]
    hd95: float | None = None
    reference_hd95: float | None = None
    nsd: float | None = None
    reference_nsd: float | None = None
    tolerance: float = NSD_TOLERANCE


@dataclass(frozen=True)
class Stratum:
    """Dice within one value of the strata column, and of each class where there are several."""

    name: str
    images: int
    dice: float
    reference_dice: float
    retained: float
    classes: tuple[ClassScore, ...] = ()


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
        cases: scores per case; None where nothing says which images are slices of one.
        hd95: distance between outlines, shown and never gated; None where it could not be measured.
        graph_db: what the engine's graph itself loses against the float source, raw outputs; None: not measured.
        second_db: parity of another executor of the same graph; None where it was not asked.
        source_db: the engine against the float source, raw outputs; None: not measured.
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
    cases: CaseScores | None = None
    graph_db: float | None = None
    second_db: float | None = None
    source_db: float | None = None


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
    if engine.sqnr_db is None:
        require_same_shape(np.shape(engine.outputs)[1:], np.shape(reference.outputs)[1:])
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
        sqnr_db=_sqnr_db(engine, reference),
        parity_db=parity_db,
        worst=tuple(sorted(rows, key=lambda r: (r.dice - r.reference_dice, r.dice))[:worst]),
        images=len(engine),
        worst_drop=max(0.0, *(row.reference_dice - row.dice for row in rows)),
        resampled_by=column or "image",
        units=interval.units,
        strata_column=strata,
        strata=_strata(engine, reference, _column(engine, strata)) if strata else (),
        classes=_classes(engine, reference),
        hd95=_surface_distance(engine, reference),
        cases=_cases(engine, reference),
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
    return scores.mean(_agreed(engine, reference))


def agreements(engine: Evaluation, reference: Evaluation) -> NDArray[np.float64]:
    """The same, image by image: ``[images]``."""
    return scores.per_image(_agreed(engine, reference))


def _agreed(engine: Evaluation, reference: Evaluation) -> Scores:
    known = engine.known.agreed if engine.known else None
    return scores.dice(agreed_counts(engine, reference) if known is None else known)


def agreed_counts(engine: Evaluation, reference: Evaluation) -> Counts:
    """The engine's masks counted against the reference's, ``[images, classes]``."""
    task, rows = engine.task, zip(engine.labels, reference.labels, engine.truth)
    return stack(count(ours, theirs, task, counted(truth, task)) for ours, theirs, truth in rows)


def _sqnr_db(engine: Evaluation, reference: Evaluation) -> float:
    """As it was measured on the way, or of the outputs that were kept."""
    if engine.sqnr_db is not None:
        return engine.sqnr_db
    return clipped_sqnr_db(reference.outputs, engine.outputs, engine.task)


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
    ours, theirs = engine.surfaces, reference.surfaces
    return None if ours is None or theirs is None else surface_distance(ours, theirs, engine.counts)


def _column(evaluation: Evaluation, name: str) -> tuple[str, ...]:
    if name not in evaluation.columns:
        known = ", ".join(evaluation.columns) or "none besides image, mask and split"
        raise InputError(f"manifest.csv: no column {name!r} (it has {known}); name one of those or add it")
    return evaluation.columns[name]


def _strata(engine: Evaluation, reference: Evaluation, values: Sequence[str]) -> tuple[Stratum, ...]:
    rows = per_image_dice(engine, reference)

    def stratum(name: str) -> Stratum:
        indices = [index for index, value in enumerate(values) if value == name]
        ours = float(np.mean([rows[index].dice for index in indices]))
        theirs = float(np.mean([rows[index].reference_dice for index in indices]))
        classes = _classes(engine, reference, indices) if len(engine.task.foreground) > 1 else ()
        return Stratum(name or "(none)", len(indices), ours, theirs, retained(ours, theirs), classes)

    return tuple(sorted((stratum(name) for name in sorted(set(values))), key=lambda s: -s.images))


def _classes(engine: Evaluation, reference: Evaluation, indices: Sequence[int] | None = None) -> tuple[ClassScore, ...]:
    """Of all images, or of some."""
    chosen = slice(None) if indices is None else list(indices)
    ours, theirs = (_at(e.counts, chosen) for e in (engine, reference))
    dice, iou = ([function(c).mean(axis=0) for c in (ours, theirs)] for function in (scores.dice, scores.iou))
    present = ((ours.tp + ours.fn) > 0).sum(axis=0)

    def distance(evaluation: Evaluation, kind: str, k: int) -> float | None:
        surfaces = evaluation.surfaces
        return None if surfaces is None else mean_or_none(getattr(surfaces, kind)[chosen][:, k])

    return tuple(
        ClassScore(
            name=name,
            dice=float(dice[0][k]),
            reference_dice=float(dice[1][k]),
            iou=float(iou[0][k]),
            reference_iou=float(iou[1][k]),
            retained=retained(float(dice[0][k]), float(dice[1][k])),
            present=int(present[k]),
            hd95=distance(engine, "hd95", k),
            reference_hd95=distance(reference, "hd95", k),
            nsd=distance(engine, "nsd", k),
            reference_nsd=distance(reference, "nsd", k),
        )
        for k, (_, name) in enumerate(engine.task.foreground)
    )


def _cases(engine: Evaluation, reference: Evaluation) -> CaseScores | None:
    """Counts of all slices of a case added up; an image of no case stands for itself."""
    column = next((name for name in CASE_COLUMNS if any(engine.columns.get(name, ()))), None)
    if column is None:
        return None
    units: dict[str, list[int]] = {}
    for index, (value, name) in enumerate(zip(engine.columns[column], engine.names)):
        units.setdefault(value or name, []).append(index)
    ours, theirs = (stack(_at(e.counts, indices).pooled() for indices in units.values()) for e in (engine, reference))
    columns = [function(c) for function in (scores.dice, scores.iou) for c in (ours, theirs)]
    distances = {name: _distances(engine, reference, indices) for name, indices in units.items()}
    rows = tuple(
        CaseScore(name, len(indices), *(float(values[row].mean()) for values in columns), *distances[name])
        for row, (name, indices) in enumerate(units.items())
    )
    dice, reference_dice, iou, reference_iou = (scores.mean(values) for values in columns)
    hd95, reference_hd95, nsd, reference_nsd = (_mean([row[k] for row in distances.values()]) for k in range(4))
    return CaseScores(
        column, dice, reference_dice, iou, reference_iou, retained(dice, reference_dice), rows,
        hd95, reference_hd95, nsd, reference_nsd,
    )  # fmt: skip


def _distances(engine: Evaluation, reference: Evaluation, indices: Sequence[int]) -> tuple[float | None, ...]:
    """HD95 of both, then surface Dice of both, over the volumes that some of the images are slices of."""
    if not engine.slices:
        return (None,) * 4
    names = [place.volume for place in (engine.slices[index] for index in indices) if place is not None]
    (hd95, nsd), (reference_hd95, reference_nsd) = (mean_of(e.volumes, names) for e in (engine, reference))
    return hd95, reference_hd95, nsd, reference_nsd


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _at(counts: Counts, chosen: slice | list[int]) -> Counts:
    return Counts(*(getattr(counts, name)[chosen] for name in ("tp", "fp", "fn", "tn")))
