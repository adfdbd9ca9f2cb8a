"""HD95: how far apart two outlines are, in pixels. Shown, never gated: undefined where a mask is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task.task import SegmentationTask
    from .counts import Counts, Labels

    Mask = NDArray[np.bool_]
    Distances = NDArray[np.float64]

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


def surface_distance(ours: Distances, theirs: Distances, counts: Counts) -> SurfaceDistance:
    """Summarize the HD95 of an engine, beside its reference's.

    Args:
        ours, theirs: ``[images, classes]`` pixels of the engine and of the reference, NaN where undefined.
        counts: of the engine; they tell why a distance is undefined.
    """
    defined, reference = (values[np.isfinite(values)] for values in (ours, theirs))
    both_empty = counts.tp + counts.fp + counts.fn == 0
    return SurfaceDistance(
        mean=float(defined.mean()) if len(defined) else None,
        median=float(np.median(defined)) if len(defined) else None,
        reference_mean=float(reference.mean()) if len(reference) else None,
        defined=len(defined),
        both_empty=int(both_empty.sum()),
        one_empty=int((np.isnan(ours) & ~both_empty).sum()),
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


def distances(labels: Sequence[Labels], truths: Sequence[Labels], task: SegmentationTask) -> Distances:
    """HD95 of every image and foreground class of the task, ``[images, classes]`` pixels, NaN where undefined."""
    pairs = zip(labels, truths)
    return np.array([[hd95(ours, truth, k) for k, _ in task.foreground] for ours, truth in pairs])


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
