"""Distances between the surfaces of whole volumes: HD95 and surface Dice in three dimensions, in millimetres.

What :mod:`.distance` says of the outlines of a slice, said of a volume: a surface is the voxels that a cross-shaped
erosion in three dimensions removes, what lies outside the volume counts as outside, as MONAI has it. Slices that were
not evaluated count as outside too. Only surfaces are held, so memory does not grow with the number of slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..task.decide import class_maps, counted
from .distance import NSD_TOLERANCE, PERCENTILE, mean_or_none

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task.task import SegmentationTask
    from .counts import Labels

    Masks = NDArray[np.bool_]
    Points = NDArray[np.float64]

MOST_POINTS = 4_000_000
"""Voxels of a surface beyond which it is noise and no surface, and no distance is told."""


@dataclass(frozen=True)
class Slice:
    """Where an image lies in its volume.

    Attributes:
        volume: name of the volume.
        index: which plane of it.
        spacing: millimetres from plane to plane, from row to row and from column to column.
    """

    volume: str
    index: int
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class VolumeSurfaces:
    """Distances of one volume, ``[classes]``.

    Attributes:
        hd95: millimetres; NaN where either side lacks the class, or has a surface of more than :data:`MOST_POINTS`.
        nsd: surface Dice within :data:`.distance.NSD_TOLERANCE`; NaN where both lack it, 0 where one does.
    """

    hd95: NDArray[np.float64]
    nsd: NDArray[np.float64]


def volume_surfaces(
    labels: Sequence[Labels], truths: Sequence[Labels], task: SegmentationTask, slices: Sequence[Slice | None]
) -> dict[str, VolumeSurfaces]:
    """Both distances of every volume and foreground class.

    Args:
        labels, truths: as for :func:`.distance.surfaces`.
        slices: of each; None for what is no slice of a volume whose spacing is known.
    """
    members: dict[str, list[tuple[Slice, int]]] = {}
    for position, place in enumerate(slices):
        if place is not None:
            members.setdefault(place.volume, []).append((place, position))
    return {
        volume: _of_volume(((place, _masks(labels[at], truths[at], task)) for place, at in _in_order(parts)), task)
        for volume, parts in members.items()
    }


def _in_order(parts: Iterable[tuple[Slice, int]]) -> list[tuple[Slice, int]]:
    return sorted(parts, key=lambda part: part[0].index)


def _masks(labels: Labels, truth: Labels, task: SegmentationTask) -> Masks:
    """``[2 * classes, h, w]``: every class as it was found, then every class as it is."""
    within = counted(truth, task)
    ours = (found if within is None else found & within for found in class_maps(labels, task))
    return np.stack([*ours, *class_maps(truth, task)])


def _of_volume(slices: Iterable[tuple[Slice, Masks]], task: SegmentationTask) -> VolumeSurfaces:
    classes = len(task.foreground)
    found: list[list[Points]] = [[] for _ in range(2 * classes)]
    counts = [0] * len(found)
    for index, points in _surface(slices):
        counts[index] += len(points)
        if counts[index] <= MOST_POINTS:
            found[index].append(points)
    sides = [np.concatenate(parts) if parts else np.empty((0, 3)) for parts in found]
    undefined = float("nan"), float("nan")
    rows = [
        undefined if max(counts[k], counts[classes + k]) > MOST_POINTS else surface_hd95_and_nsd(ours, truth)
        for k, (ours, truth) in enumerate(zip(sides[:classes], sides[classes:]))
    ]
    values = np.array(rows, np.float64).reshape(classes, 2)
    return VolumeSurfaces(values[:, 0], values[:, 1])


def _surface(slices: Iterable[tuple[Slice, Masks]]) -> Iterator[tuple[int, Points]]:
    """Which mask, and ``[n, 3]`` millimetres of its surface in one slice; three slices are held at a time."""
    before: tuple[Slice, Masks] | None = None
    here: tuple[Slice, Masks] | None = None
    for after in chain(slices, (None,)):
        if here is not None:
            yield from _of_slice(here, before, after)
        before, here = here, after


def _of_slice(
    here: tuple[Slice, Masks], before: tuple[Slice, Masks] | None, after: tuple[Slice, Masks] | None
) -> Iterator[tuple[int, Points]]:
    place, masks = here
    if not masks.any():
        return
    inside = np.zeros_like(masks)
    if _adjoin(before, here) and _adjoin(here, after):
        assert before is not None and after is not None
        inside[:, 1:-1, 1:-1] = (
            masks[:, 1:-1, 1:-1]
            & masks[:, :-2, 1:-1]
            & masks[:, 2:, 1:-1]
            & masks[:, 1:-1, :-2]
            & masks[:, 1:-1, 2:]
            & before[1][:, 1:-1, 1:-1]
            & after[1][:, 1:-1, 1:-1]
        )
    for index, outline in enumerate(masks & ~inside):
        rows, columns = np.nonzero(outline)
        if len(rows):
            across = np.full(len(rows), place.index)
            yield index, np.stack([across, rows, columns], axis=1) * np.array(place.spacing, np.float64)


def _adjoin(one: tuple[Slice, Masks] | None, other: tuple[Slice, Masks] | None) -> bool:
    return one is not None and other is not None and one[0].index + 1 == other[0].index


def surface_hd95_and_nsd(ours: Points, truth: Points, tolerance: float = NSD_TOLERANCE) -> tuple[float, float]:
    """95th percentile Hausdorff distance and surface Dice of two surfaces.

    Args:
        ours, truth: ``[n, 3]`` millimetres.
        tolerance: millimetres.

    Returns:
        As :func:`.distance.hd95_and_nsd`.
    """
    from scipy.spatial import cKDTree

    if not (len(ours) and len(truth)):
        return float("nan"), 0.0 if len(ours) or len(truth) else float("nan")
    there, back = (cKDTree(b).query(a)[0] for a, b in ((ours, truth), (truth, ours)))
    close = int((there <= tolerance).sum()) + int((back <= tolerance).sum())
    farthest = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    return float(farthest), close / (there.size + back.size)


def mean_of(volumes: Mapping[str, VolumeSurfaces], names: Iterable[str]) -> tuple[float | None, float | None]:
    """HD95 and surface Dice, means over some of the volumes and over classes, of what is defined; None for nothing."""
    chosen = [volumes[name] for name in dict.fromkeys(names) if name in volumes]
    if not chosen:
        return None, None
    hd95, nsd = (np.concatenate([getattr(one, key) for one in chosen]) for key in ("hd95", "nsd"))
    return mean_or_none(hd95), mean_or_none(nsd)
