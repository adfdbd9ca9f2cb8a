"""Counts first: true and false positives and negatives, per image and foreground class. Scores are made from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable

import numpy as np

from ..task.decide import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task.task import SegmentationTask

    Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Counts:
    """Pixels by outcome.

    Attributes:
        tp, fp, fn, tn: int64 ``[images, classes]``; the classes are the task's foreground classes, in order.
    """

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tp)

    def pooled(self) -> Counts:
        """All images as if they were one: ``[1, classes]``, what micro scores are made from."""
        return Counts(*(values.sum(axis=0, keepdims=True) for values in (self.tp, self.fp, self.fn, self.tn)))


def count(labels: Labels, truth: Labels, task: SegmentationTask, within: NDArray[np.bool_] | None = None) -> Counts:
    """Compare one label map with its truth.

    Args:
        labels, truth: ``[h, w]`` uint8 class indices of equal shape, or ``[classes, h, w]`` where labels overlap.
        task: names the classes, and says which pixels of ``truth`` are not counted.
        within: ``[h, w]``, the only pixels that are counted; None: those that the task counts.

    Returns:
        Counts of shape ``[1, classes]``.

    Raises:
        ValueError: the shapes differ.
    """
    if labels.shape != truth.shape:
        raise ValueError(f"labels {labels.shape} and truth {truth.shape} differ in shape")
    within = counted(truth, task) if within is None else within
    if within is not None:
        labels, truth = labels[..., within], truth[..., within]
    if task.overlapping:
        return _count_maps(labels == 1, truth == 1)
    levels = 256
    pairs = truth.astype(np.int64).ravel() * levels + labels.ravel()
    confusion = np.bincount(pairs, minlength=levels * levels).reshape(levels, levels)
    classes = [index for index, _ in task.foreground]
    tp = confusion.diagonal()[classes]
    fp = confusion.sum(axis=0)[classes] - tp
    fn = confusion.sum(axis=1)[classes] - tp
    return Counts(*(values[None].astype(np.int64) for values in (tp, fp, fn, labels.size - tp - fp - fn)))


def _count_maps(ours: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Counts:
    """``[classes, ...]`` of each."""
    ours, truth = (maps.reshape(len(maps), -1) for maps in (ours, truth))
    outcomes = (ours & truth, ours & ~truth, ~ours & truth, ~ours & ~truth)
    return Counts(*(outcome.sum(axis=1, dtype=np.int64)[None] for outcome in outcomes))


def stack(counts: Iterable[Counts]) -> Counts:
    """Counts of several images, one row each, in order."""
    rows = tuple(counts)
    return Counts(*(np.concatenate([getattr(row, name) for row in rows]) for name in ("tp", "fp", "fn", "tn")))
