"""What the pages show beyond ``report.json``: pictures with the masks drawn on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.images.shown import shown
from edge.report.results import ImageScores
from edge.task.decide import IGNORED

if TYPE_CHECKING:
    from edge.accuracy.evaluate import Evaluation
    from edge.images.image_set import ImageSet
    from edge.task.task import SegmentationTask

Labels = NDArray[np.integer[Any]]
VISIBLE_LOSS = 0.001
"""Of Dice on one image; below it, a handful of pixels changed."""
_MOST_DRAWN = 62
"""Of overlapping classes so many are drawn: each is a bit of a signed 64-bit number."""


@dataclass(frozen=True)
class Picture:
    """One image and what everyone made of it, at the image's own size.

    Attributes:
        name: as in :class:`ImageScores`.
        pixels: ``[h, w]`` grey or ``[h, w, 3]`` RGB, uint8.
        truth, reference: ``[h, w]``, see :func:`drawable`.
        engines: engine name to the same.
        gained: shown for what an engine gained on it, rather than lost.
    """

    name: str
    pixels: NDArray[np.uint8]
    truth: Labels
    reference: Labels
    engines: Mapping[str, Labels]
    gained: bool = False


def image_scores(reference: Evaluation, engines: Mapping[str, Evaluation]) -> ImageScores:
    """Dice of every image, mean over classes, for the reference and each engine."""
    from edge.accuracy.scores import dice

    def per_image(evaluation: Evaluation) -> tuple[float, ...]:
        return tuple(float(value) for value in dice(evaluation.counts).mean(axis=1))

    return ImageScores(
        names=reference.names,
        reference=per_image(reference),
        engines={name: per_image(evaluation) for name, evaluation in engines.items()},
    )


def worst_pictures(
    images: ImageSet, reference: Evaluation, engines: Mapping[str, Evaluation], count: int = 3
) -> tuple[Picture, ...]:
    """The images on which each engine lost most Dice against the reference, ``count`` for each engine.

    Args:
        images: the evaluation images, in the order of the evaluations.
        reference, engines: what they made of them.
        count: images for each engine; those of several engines are listed once, worst first. Losses that nobody would
            see are left out, unless too few others are left.
    """
    scores = image_scores(reference, engines)
    losses = {name: np.subtract(scores.reference, dice) for name, dice in scores.engines.items()}
    worst: dict[int, float] = {}
    for loss in losses.values():
        for index in np.argsort(-loss, kind="stable")[:count].tolist():
            worst[index] = max(float(loss[index]), worst.get(index, -np.inf))
    ranked = sorted(worst, key=lambda index: -worst[index])
    lost = [index for index in ranked if worst[index] >= 0]  # one on which every engine gained is no loss
    wanted = [index for rank, index in enumerate(lost) if rank < count or worst[index] >= VISIBLE_LOSS]
    return tuple(_picture(images, reference, engines, index) for index in wanted)


def best_pictures(
    images: ImageSet, reference: Evaluation, engines: Mapping[str, Evaluation], count: int = 2
) -> tuple[Picture, ...]:
    """The images on which an engine gained most Dice against the reference, best first, marked as gained.

    Args:
        images, reference, engines: as for :func:`worst_pictures`.
        count: at most so many; left out are gains that nobody would see, and images on which another engine lost.
    """
    scores = image_scores(reference, engines)
    gains = np.array([np.subtract(dice, scores.reference) for dice in scores.engines.values()])
    if not gains.size:
        return ()
    most, least = gains.max(axis=0), gains.min(axis=0)
    order = np.argsort(-most, kind="stable").tolist()
    wanted = [index for index in order if most[index] >= VISIBLE_LOSS and least[index] > -VISIBLE_LOSS][:count]
    return tuple(replace(_picture(images, reference, engines, index), gained=True) for index in wanted)


def _picture(images: ImageSet, reference: Evaluation, engines: Mapping[str, Evaluation], index: int) -> Picture:
    return Picture(
        name=reference.names[index],
        pixels=shown(images.samples[index].plane(reference.task), reference.task),
        truth=drawable(reference.truth[index], reference.task),
        reference=drawable(reference.labels[index], reference.task),
        engines={name: drawable(one.labels[index], reference.task) for name, one in engines.items()},
    )


def drawable(labels: Labels, task: SegmentationTask) -> Labels:
    """``[h, w]`` whole numbers that change where any class begins or ends; 0 is background, and what is not counted.

    Args:
        labels: class indices, or ``[classes, h, w]`` where labels overlap (each set of classes has its own number).
        task: names the classes.
    """
    if not task.overlapping:
        return labels if task.ignore is None else np.where(labels == IGNORED, 0, labels).astype(labels.dtype)
    codes = np.zeros(labels.shape[1:], np.int64)
    for index, plane in enumerate(labels[:_MOST_DRAWN]):
        codes |= (plane == 1).astype(np.int64) << index
    return codes
