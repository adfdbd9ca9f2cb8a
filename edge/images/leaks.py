"""Leaks: images that are used for two purposes, which makes a score of one a memory of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.errors import InputError
from edge.images.arrays import ArraySample
from edge.images.image_set import VOLUME_COLUMN, ImageSet, Sample, pixel_digest
from edge.images.plane import Plane

PERSON_COLUMNS = ("patient", "subject", "case", VOLUME_COLUMN)
"""Columns whose values must not appear in two splits: slices of one body are as good as copies."""

_SIDE = 16
_CLOSE = 12  # of 240 bits
_FLAT = 2.0  # grey levels of spread in the thumbnail below which a picture shows nothing to compare
_MOST_NOTES = 3

AnySample = Sample | ArraySample
Purposes = Sequence[tuple[str, ImageSet]]


def require_disjoint(sets: Purposes) -> tuple[str, ...]:
    """Refuse images that appear, pixel for pixel, in more than one of the sets; find those that nearly do.

    Two equal images of one set are its own affair: blank slices are.

    Args:
        sets: purpose ("calibration", "evaluation", ...) and the set used for it.

    Returns:
        A sentence for each pair of files, up to three and a count, that look alike though their pixels differ.

    Raises:
        InputError: names both files.
    """
    seen: dict[str, tuple[str, AnySample]] = {}
    looks: list[tuple[str, AnySample, NDArray[np.bool_]]] = []
    for purpose, images in sets:
        for sample in images:
            plane = sample.plane()
            if sample.volume and plane.values.min() == plane.values.max():
                continue  # a slice of air is nobody's
            digest = pixel_digest(plane.values)
            other_purpose, other = seen.setdefault(digest, (purpose, sample))
            if other_purpose != purpose:
                raise InputError(
                    f"{_where(sample)}: the same picture as {_where(other)}, one for {purpose}, one for "
                    f"{other_purpose}; keep it in one split only"
                )
            look = _look(plane)
            if look is not None:
                looks.append((purpose, sample, look))
    return tuple(_alike(looks))


def people_in_two(sets: Purposes) -> tuple[str, ...]:
    """A sentence for each person (or volume) that appears in two of the sets; empty where none does."""
    found = []
    for column in PERSON_COLUMNS:
        first: dict[str, tuple[str, AnySample]] = {}
        told: set[str] = set()
        for purpose, images in sets:
            for sample in images:
                value = sample.columns.get(column)
                if not value:
                    continue
                other_purpose, other = first.setdefault(value, (purpose, sample))
                if other_purpose != purpose and value not in told:
                    told.add(value)
                    found.append(
                        f"{column} {value} is used for {other_purpose} ({_where(other)}) and for {purpose} "
                        f"({_where(sample)})"
                    )
    return tuple(found)


def require_apart(sets: Purposes) -> None:
    """Refuse people (or volumes) that appear in two of the sets.

    Raises:
        InputError: names one of them and both files.
    """
    found = people_in_two(sets)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        root = sets[0][1].root
        raise InputError(
            f"{root}: {found[0]}{more}; keep each in one split, or accept flattered scores with --allow-overlap"
        )


def _look(plane: Plane) -> NDArray[np.bool_] | None:
    """What stays the same when a picture is stored with losses, scaled or retouched: whether each of 16 x 15
    neighbours in a thumbnail grows brighter. ``None`` for a picture without contrast."""
    grey = plane.values if plane.values.ndim == 2 else plane.values.mean(axis=2)
    low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return None
    levels = ((grey.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)
    thumbnail = np.asarray(Image.fromarray(levels).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.int16)
    if thumbnail.std() < _FLAT:
        return None
    look: NDArray[np.bool_] = np.diff(thumbnail, axis=1) > 0
    return look


def _alike(looks: Sequence[tuple[str, AnySample, NDArray[np.bool_]]]) -> Iterator[str]:
    """Pairs of different purposes whose looks are close, upright or mirrored."""
    if not looks:
        return
    upright = np.stack([look for _, _, look in looks])
    mirrored = ~upright[:, :, ::-1]
    flipped = upright[:, ::-1]
    purposes = np.array([purpose for purpose, _, _ in looks])
    found = []
    for index, (purpose, sample, look) in enumerate(looks):
        others = np.flatnonzero(purposes[:index] != purpose)
        if not len(others):
            continue
        distances = np.min(
            [(turned[others] != look).sum(axis=(1, 2)) for turned in (upright, mirrored, flipped)], axis=0
        )
        nearest = int(distances.argmin())
        if distances[nearest] <= _CLOSE:
            other = looks[int(others[nearest])]
            found.append(
                f"{_where(sample)} ({purpose}) looks like {_where(other[1])} ({other[0]}), though not to the pixel"
            )
    yield from found[:_MOST_NOTES]
    if len(found) > _MOST_NOTES:
        yield f"{len(found) - _MOST_NOTES} more images look like one of another split"


def _where(sample: AnySample) -> str:
    return f"{sample.image}{f' (slice {sample.index})' if sample.volume else ''}"
