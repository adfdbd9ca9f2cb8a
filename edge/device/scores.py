"""Counts, scores and intervals on the device: the same definitions, numbers and keys as on the workstation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .task import Task

CEILING_DB = 200.0
_LOGIT_CLIP = 6.0
_RESAMPLES, _SEED, _CHUNK = 10_000, 20_240, 1 << 22
_DETECTABLE_Z = 1.6449 + 0.8416
_WORST = 3


@dataclass(frozen=True)
class Counts:
    """Pixels by outcome, int64 ``[images, classes]``."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]

    def pooled(self) -> Counts:
        """All images as if they were one."""
        return Counts(*(values.sum(axis=0, keepdims=True) for values in (self.tp, self.fp, self.fn)))


@dataclass(frozen=True)
class Evaluation:
    """What one engine made of the images.

    Attributes:
        counts: against the truth, at the images' own sizes.
        outputs: ``[images, maps, height, width]`` float32.
        labels: ``[h, w]`` uint8 at each image's own size.
    """

    counts: Counts
    outputs: NDArray[np.float32]
    labels: tuple[NDArray[np.uint8], ...]


def count(labels: NDArray[np.uint8], truth: NDArray[np.uint8], task: Task) -> Counts:
    """Compare one label map with its truth: counts of shape ``[1, classes]``."""
    pairs = truth.astype(np.int64).ravel() * 256 + labels.ravel()
    confusion = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    classes = [index for index, _ in task.foreground]
    tp = confusion.diagonal()[classes]
    fp, fn = confusion.sum(axis=0)[classes] - tp, confusion.sum(axis=1)[classes] - tp
    return Counts(*(values[None].astype(np.int64) for values in (tp, fp, fn)))


def see(outputs: NDArray[np.float32], truth: Sequence[NDArray[np.uint8]], task: Task) -> Evaluation:
    """Masks and counts from outputs."""
    labels = tuple(task.labels(o, (t.shape[0], t.shape[1])) for o, t in zip(outputs, truth))
    return Evaluation(_stack([count(ours, t, task) for ours, t in zip(labels, truth)]), outputs, labels)


def dice(c: Counts) -> NDArray[np.float64]:
    """``2 TP / (2 TP + FP + FN)``; both empty 1, one empty 0."""
    return _fraction(c, 2 * c.tp, 2 * c.tp + c.fp + c.fn)


def iou(c: Counts) -> NDArray[np.float64]:
    """``TP / (TP + FP + FN)``."""
    return _fraction(c, c.tp, c.tp + c.fp + c.fn)


def recall(c: Counts) -> NDArray[np.float64]:
    """``TP / (TP + FN)``."""
    return _fraction(c, c.tp, c.tp + c.fn)


def precision(c: Counts) -> NDArray[np.float64]:
    """``TP / (TP + FP)``."""
    return _fraction(c, c.tp, c.tp + c.fp)


Score = Callable[[Counts], "NDArray[np.float64]"]
SCORES: Mapping[str, Score] = {"dice": dice, "iou": iou, "recall": recall, "precision": precision}


def mean(values: NDArray[np.float64]) -> float:
    """Over images, then over classes."""
    return float(values.mean(axis=0).mean())


def sqnr_db(signal: Iterable[Any], noisy: Iterable[Any], clip: float | None = None) -> float:
    """``10 log10(sum signal^2 / sum (signal - noisy)^2)``, in [-200, 200]; -200 where anything is not finite."""
    power = noise = 0.0
    for a, b in zip(signal, noisy):
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return -CEILING_DB
        first, second = (np.asarray(v, np.float64) for v in (a, b))
        if clip is not None:
            first, second = (v.clip(-clip, clip) for v in (first, second))
        power += float(np.square(first).sum())
        noise += float(np.square(first - second).sum())
    if noise == 0.0:
        return CEILING_DB
    if power == 0.0:
        return -CEILING_DB
    return min(max(10.0 * math.log10(power / noise), -CEILING_DB), CEILING_DB)


def reference_scores(reference: Evaluation) -> dict[str, float]:
    """The ``reference`` entry of a report."""
    means = {name: mean(score(reference.counts)) for name, score in SCORES.items()}
    pooled = {f"micro_{name}": float(SCORES[name](reference.counts.pooled()).mean()) for name in ("dice", "iou")}
    return {**means, **pooled}


def compare(
    engine: Evaluation,
    reference: Evaluation,
    task: Task,
    names: Sequence[str],
    parity_db: float | None = None,
    strata: tuple[str, Sequence[str]] | None = None,
    groups: tuple[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The ``accuracy`` entry of a report's engine.

    Args:
        engine, reference: on the same images.
        names: of the images.
        parity_db: measured apart, on the same graph.
        strata, groups: a column's name and its value for every image.
    """
    rows = per_image_dice(engine, reference, names)
    scores = {name: _score(SCORES[name], engine, reference, groups) for name in ("dice", "iou")}
    clip = _LOGIT_CLIP if task.output == "logits" else None
    return {
        "dice": scores["dice"][0],
        "iou": scores["iou"][0],
        "recall": mean(recall(engine.counts)),
        "precision": mean(precision(engine.counts)),
        "agreement": agreement(engine, reference, task),
        "sqnr_db": sqnr_db(reference.outputs, engine.outputs, clip),
        "parity_db": parity_db,
        "worst": sorted(rows, key=lambda r: (r["dice"] - r["reference_dice"], r["dice"]))[:_WORST],
        "images": len(names),
        "worst_drop": max(0.0, *(row["reference_dice"] - row["dice"] for row in rows)),
        "resampled_by": groups[0] if groups else "image",
        "units": scores["dice"][1],
        "strata_column": strata[0] if strata else None,
        "strata": _strata(rows, strata[1]) if strata else [],
        "classes": _classes(engine, reference, task),
    }


def agreement(engine: Evaluation, reference: Evaluation, task: Task) -> float:
    """Mean Dice of the engine's masks against the reference's."""
    counts = _stack([count(a, b, task) for a, b in zip(engine.labels, reference.labels)])
    return mean(dice(counts))


def per_image_dice(engine: Evaluation, reference: Evaluation, names: Sequence[str]) -> list[dict[str, Any]]:
    """Dice of every image under both, mean over classes."""
    pairs = zip(names, dice(engine.counts).mean(axis=1), dice(reference.counts).mean(axis=1))
    return [{"image": name, "dice": float(a), "reference_dice": float(b)} for name, a, b in pairs]


def _score(
    score: Score, engine: Evaluation, reference: Evaluation, groups: tuple[str, Sequence[str]] | None
) -> tuple[dict[str, Any], int]:
    ours, theirs = score(engine.counts), score(reference.counts)
    sums, sizes = _units(ours.mean(axis=1) - theirs.mean(axis=1), groups[1] if groups else None)
    drawn = _resampled_means(sums, sizes)
    low, one_sided, high = np.quantile(drawn, (0.025, 0.05, 0.975))
    table = {
        "mean": mean(ours),
        "retained": _retained(mean(ours), mean(theirs)),
        "difference": float((ours.mean(axis=1) - theirs.mean(axis=1)).mean()),
        "difference_ci95": [float(low), float(high)],
        "lower_bound": float(one_sided),
        "detectable": float(_DETECTABLE_Z * drawn.std()),
        "micro": float(score(engine.counts.pooled()).mean()),
    }
    return table, len(sums)


def _units(
    values: NDArray[np.float64], groups: Sequence[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if groups is None:
        return values, np.ones_like(values)
    named = [("group", group) if group else ("image", str(row)) for row, group in enumerate(groups)]
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(named))}
    index = np.array([numbers[unit] for unit in named])
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)


def _resampled_means(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Paired bootstrap of the mean by image or by group, with the workstation's seed."""
    generator = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    step = max(1, _CHUNK // len(sums))
    for start in range(0, _RESAMPLES, step):
        rows = min(step, _RESAMPLES - start)
        drawn = generator.integers(0, len(sums), size=(rows, len(sums)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _strata(rows: Sequence[Mapping[str, Any]], values: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for name in sorted(set(values)):
        members = [row for row, value in zip(rows, values) if value == name]
        ours, theirs = (float(np.mean([row[key] for row in members])) for key in ("dice", "reference_dice"))
        found.append(
            {
                "name": name or "(none)",
                "images": len(members),
                "dice": ours,
                "reference_dice": theirs,
                "retained": _retained(ours, theirs),
            }
        )
    return sorted(found, key=lambda s: -int(s["images"]))


def _classes(engine: Evaluation, reference: Evaluation, task: Task) -> list[dict[str, Any]]:
    columns = [score(seen.counts).mean(axis=0) for score in (dice, iou) for seen in (engine, reference)]
    keys = ("dice", "reference_dice", "iou", "reference_iou")
    return [
        {"name": name, **{key: float(column[index]) for key, column in zip(keys, columns)}}
        for index, (_, name) in enumerate(task.foreground)
    ]


def _retained(score: float, reference: float) -> float:
    return score / reference if reference > 0 else 1.0


def _stack(rows: Sequence[Counts]) -> Counts:
    return Counts(*(np.concatenate([getattr(row, name) for row in rows]) for name in ("tp", "fp", "fn")))


def _fraction(c: Counts, numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    both_empty = (c.tp + c.fp + c.fn) == 0
    fractions: NDArray[np.float64] = np.where(both_empty, 1.0, numerator / np.maximum(denominator, 1))
    return fractions
