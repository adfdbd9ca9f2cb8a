"""HD95: how far apart two outlines are, in pixels. Shown, never gated: undefined where a mask is empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.counts import Labels

if TYPE_CHECKING:
    from edge.accuracy.evaluate import Evaluation

Mask = NDArray[np.bool_]
PERCENTILE = 95.0


@dataclass(frozen=True)
class SurfaceDistance:
    """HD95 of an engine against the truth, over the image-class pairs where both sides have an outline.

    Attributes:
        mean, median: pixels, engine; None where no pair is defined.
        reference_mean: pixels, the reference, over the pairs defined for it.
        defined: pairs with a distance.
        both_empty: neither mask has the class: nothing to measure, and nothing wrong.
        one_empty: only one has it: no distance exists. Dice counts these as 0.
    """

    mean: float | None
    median: float | None
    reference_mean: float | None
    defined: int
    both_empty: int
    one_empty: int


def surface_distance(engine: Evaluation, reference: Evaluation) -> SurfaceDistance:
    """Summarize the HD95 of an engine, beside its reference's."""
    ours, theirs = (_defined(e) for e in (engine, reference))
    empty = np.array([_empty(labels, truth, engine) for labels, truth in zip(engine.labels, engine.truth, strict=True)])
    return SurfaceDistance(
        mean=float(ours.mean()) if len(ours) else None,
        median=float(np.median(ours)) if len(ours) else None,
        reference_mean=float(theirs.mean()) if len(theirs) else None,
        defined=len(ours),
        both_empty=int((empty == 2).sum()),
        one_empty=int((empty == 1).sum()),
    )


def hd95(labels: Labels, truth: Labels, level: int = 1) -> float:
    """95th percentile Hausdorff distance of one class, in pixels.

    The larger of the two directed 95th percentiles (linear interpolation) of distances between outlines, an outline
    being the mask's pixels that a cross-shaped erosion removes; the image's rim counts as outside. As MONAI has it.

    Args:
        labels, truth: ``[h, w]`` class indices.
        level: the class.

    Returns:
        Pixels; NaN where either mask lacks the class.
    """
    from scipy.ndimage import distance_transform_edt

    ours, theirs = _cropped(labels == level, truth == level)
    if not (ours.any() and theirs.any()):
        return float("nan")
    outline, other = _outline(ours), _outline(theirs)
    there = distance_transform_edt(~other)[outline]
    back = distance_transform_edt(~outline)[other]
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def distances(evaluation: Evaluation) -> NDArray[np.float64]:
    """HD95 of every image and foreground class, ``[images, classes]`` pixels, NaN where undefined."""
    pairs = zip(evaluation.labels, evaluation.truth, strict=True)
    return np.array([[hd95(ours, truth, k) for k, _ in evaluation.task.foreground] for ours, truth in pairs])


def _defined(evaluation: Evaluation) -> NDArray[np.float64]:
    values = evaluation.hd95
    return values[np.isfinite(values)]


def _empty(labels: Labels, truth: Labels, evaluation: Evaluation) -> list[int]:
    """For each class: how many of the two masks lack it."""
    return [int(not (labels == k).any()) + int(not (truth == k).any()) for k, _ in evaluation.task.foreground]


def _outline(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    outline: Mask = mask & ~binary_erosion(mask)
    return outline


def _cropped(a: Mask, b: Mask) -> tuple[Mask, Mask]:
    """Both masks cut to what either of them covers: outlines lie inside, so no distance changes."""
    either = a | b
    if not either.any():
        return a, b
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return a[window], b[window]
