"""What the pages show beyond ``report.json``: pictures with the masks drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.images.shown import shown
from edge.report.results import ImageScores

if TYPE_CHECKING:
    from edge.accuracy.evaluate import Evaluation
    from edge.images.image_set import ImageSet

Labels = NDArray[np.uint8]
QUANTILES = 201
VISIBLE_LOSS = 0.001
"""Of Dice on one image; below it, a handful of pixels changed."""


@dataclass(frozen=True)
class Picture:
    """One image and what everyone made of it, at the image's own size.

    Attributes:
        name: as in :class:`ImageScores`.
        pixels: ``[h, w]`` grey or ``[h, w, 3]`` RGB, uint8.
        truth, reference: ``[h, w]`` uint8 class indices.
        engines: engine name to ``[h, w]`` uint8 class indices.
    """

    name: str
    pixels: NDArray[np.uint8]
    truth: Labels
    reference: Labels
    engines: Mapping[str, Labels]


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
    wanted = [index for rank, index in enumerate(ranked) if rank < count or worst[index] >= VISIBLE_LOSS]
    return tuple(
        Picture(
            name=scores.names[index],
            pixels=shown(images.samples[index].plane(reference.task), reference.task),
            truth=reference.truth[index],
            reference=reference.labels[index],
            engines={name: evaluation.labels[index] for name, evaluation in engines.items()},
        )
        for index in wanted
    )


def quantiles(samples_ms: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    """201 evenly spaced quantiles (0 % to 100 %, linear interpolation) of latencies in ms, for the ECDF."""
    levels = np.linspace(0.0, 1.0, QUANTILES)
    return tuple(round(float(value), 6) for value in np.quantile(np.asarray(samples_ms, np.float64), levels))
