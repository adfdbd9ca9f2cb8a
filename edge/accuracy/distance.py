"""Distances between outlines: HD95 and surface Dice. Shown, never gated: HD95 is undefined where a mask is empty.

An outline is the mask's pixels that a cross-shaped erosion removes; the image's rim counts as outside. As MONAI has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, Sequence

import numpy as np

from ..task.decide import class_maps, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task.task import SegmentationTask
    from .counts import Counts, Labels

    Mask = NDArray[np.bool_]
    Distances = NDArray[np.float64]

PERCENTILE = 95.0


NSD_TOLERANCE = 2.0
"""Millimetres (pixels, where the spacing is not known) by which two outlines may differ and still be the same."""


@dataclass(frozen=True)
class SurfaceDistance:
    """HD95 of an engine against the truth, over the image-class pairs where both sides have an outline.

    Attributes:
        mean, median: of the engine, in ``unit``; None where no pair is defined.
        reference_mean: of the reference, over the pairs defined for it.
        defined: pairs with a distance.
        both_empty: neither mask has the class: nothing to measure, and nothing wrong.
        one_empty: only one has it: no distance exists. Dice counts these as 0.
        unit: mm where the spacing of every image is known, else px.
        nsd, reference_nsd: surface Dice within ``tolerance`` (in ``unit``): mean over the pairs that are not both
            empty; None where there are none.
    """

    mean: float | None
    median: float | None
    reference_mean: float | None
    defined: int
    both_empty: int
    one_empty: int
    unit: str = "px"
    nsd: float | None = None
    reference_nsd: float | None = None
    tolerance: float = NSD_TOLERANCE


@dataclass(frozen=True)
class Surfaces:
    """Distances of every image and foreground class, ``[images, classes]``.

    Attributes:
        hd95: NaN where either mask lacks the class.
        nsd: surface Dice; NaN where both lack it, 0 where one does.
        unit: mm or px.
    """

    hd95: Distances
    nsd: Distances
    unit: str


def surface_distance(ours: Surfaces, theirs: Surfaces, counts: Counts) -> SurfaceDistance:
    """Summarize the distances of an engine, beside its reference's.

    Args:
        ours, theirs: of the engine and of the reference.
        counts: of the engine; they tell why a distance is undefined.
    """
    defined, reference = (values[np.isfinite(values)] for values in (ours.hd95, theirs.hd95))
    both_empty = counts.tp + counts.fp + counts.fn == 0
    return SurfaceDistance(
        mean=float(defined.mean()) if len(defined) else None,
        median=float(np.median(defined)) if len(defined) else None,
        reference_mean=float(reference.mean()) if len(reference) else None,
        defined=len(defined),
        both_empty=int(both_empty.sum()),
        one_empty=int((np.isnan(ours.hd95) & ~both_empty).sum()),
        unit=ours.unit,
        nsd=mean_or_none(ours.nsd),
        reference_nsd=mean_or_none(theirs.nsd),
    )


def mean_or_none(values: Distances) -> float | None:
    """Mean of the defined values; None where there are none."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else None


def surfaces(
    labels: Sequence[Labels],
    truths: Sequence[Labels],
    task: SegmentationTask,
    spacings: Sequence[tuple[float, float] | None] = (),
) -> Surfaces:
    """Both distances of every image and foreground class.

    Args:
        labels, truths: ``[h, w]`` class indices, or ``[classes, h, w]`` where labels overlap. Pixels that are not
            counted are of no class on either side.
        spacings: millimetres from row to row and from column to column; pixels are the unit unless every image has one.
    """
    known = [spacing for spacing in spacings if spacing is not None]
    in_mm = len(known) == len(labels) > 0
    units = known if in_mm else [(1.0, 1.0)] * len(labels)
    rows = [list(_of_image(*three, task)) for three in zip(labels, truths, units)]
    values = np.array(rows, np.float64).reshape(len(rows), -1, 2)
    return Surfaces(values[..., 0], values[..., 1], "mm" if in_mm else "px")


def hd95_and_nsd(
    ours: Mask, truth: Mask, spacing: tuple[float, float] = (1.0, 1.0), tolerance: float = NSD_TOLERANCE
) -> tuple[float, float]:
    """95th percentile Hausdorff distance and surface Dice of one class.

    HD95 is the larger of the two directed 95th percentiles (linear interpolation) of distances between outlines.
    Surface Dice (Nikolov et al. 2021) is the share of both outlines that lies within the tolerance of the other.

    Args:
        ours, truth: ``[h, w]``.
        spacing: from row to row and from column to column.
        tolerance: in the unit of the spacing.

    Returns:
        HD95, NaN where either mask is empty; surface Dice, NaN where both are, 0 where one is.
    """
    from scipy.spatial import cKDTree

    ours, truth = _cropped(ours, truth)
    if not (ours.any() and truth.any()):
        return float("nan"), 0.0 if ours.any() or truth.any() else float("nan")
    # Outlines are few of the pixels: nearest points of a tree are the distances of a transform of the whole plane.
    outline, other = (np.argwhere(_outline(mask)) * spacing for mask in (ours, truth))
    there, back = cKDTree(other).query(outline)[0], cKDTree(outline).query(other)[0]
    close = int((there <= tolerance).sum()) + int((back <= tolerance).sum())
    farthest = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    return float(farthest), close / (there.size + back.size)


def _of_image(
    labels: Labels, truth: Labels, spacing: tuple[float, float], task: SegmentationTask
) -> Iterator[tuple[float, float]]:
    within = counted(truth, task)
    for ours, theirs in zip(class_maps(labels, task), class_maps(truth, task)):
        yield hd95_and_nsd(ours if within is None else ours & within, theirs, spacing)


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
