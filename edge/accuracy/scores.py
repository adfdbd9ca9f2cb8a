"""Scores as pure functions of counts: ``[images, classes]`` float64 in [0, 1].

One convention throughout: where neither mask has the class, the score is 1; where only one has it, 0. Means are over
images, then over classes. ``micro`` pools the pixels of all images first and is always named so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping

import numpy as np

from .counts import Counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]


def dice(counts: Counts) -> Scores:
    """Dice coefficient, ``2 TP / (2 TP + FP + FN)`` (Dice 1945; the F1 of pixels)."""
    return _fraction(counts, 2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def iou(counts: Counts) -> Scores:
    """Intersection over union, ``TP / (TP + FP + FN)`` (Jaccard 1912)."""
    return _fraction(counts, counts.tp, counts.tp + counts.fp + counts.fn)


def recall(counts: Counts) -> Scores:
    """Sensitivity, ``TP / (TP + FN)``."""
    return _fraction(counts, counts.tp, counts.tp + counts.fn)


def precision(counts: Counts) -> Scores:
    """Positive predictive value, ``TP / (TP + FP)``."""
    return _fraction(counts, counts.tp, counts.tp + counts.fp)


SCORES: Mapping[str, Callable[[Counts], Scores]] = {
    "dice": dice,
    "iou": iou,
    "recall": recall,
    "precision": precision,
}


def mean(scores: Scores) -> float:
    """Mean over images, then over classes."""
    return float(scores.mean(axis=0).mean())


def per_image(scores: Scores) -> Scores:
    """``[images]``: mean over classes, what is compared pairwise between an engine and its reference."""
    means: Scores = scores.mean(axis=1)
    return means


def micro(score: Callable[[Counts], Scores], counts: Counts) -> float:
    """A score over the pooled pixels of all images, then the mean over classes."""
    return float(score(counts.pooled()).mean())


def _fraction(counts: Counts, numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> Scores:
    both_empty = (counts.tp + counts.fp + counts.fn) == 0
    fractions: Scores = np.where(both_empty, 1.0, numerator / np.maximum(denominator, 1))
    return fractions
