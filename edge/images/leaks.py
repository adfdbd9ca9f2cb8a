"""Leaks: images that are used for two purposes, which makes a score of one a memory of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.errors import InputError
from edge.images.arrays import ArraySample
from edge.images.image_set import VOLUME_COLUMN, ImageSet, Sample, pixel_digest
from edge.task.plane import Plane

PERSON_COLUMNS = ("patient", "subject", "case", VOLUME_COLUMN)
"""Columns whose values must not appear in two splits: slices of one body are as good as copies."""

_SIDE = 16
_CLOSE = 16  # of 240 neighbours; unrelated pictures of one kind differ in 30 and more
_FLAT = 2.0  # grey levels of spread in the thumbnail below which a picture shows nothing to compare

AnySample = Sample | ArraySample
Purposes = Sequence[tuple[str, ImageSet]]


def require_disjoint(sets: Purposes) -> tuple[str, ...]:
    """Refuse images that appear, pixel for pixel, in more than one of the sets; find those that nearly do.

    Two equal images of one set are its own affair: blank slices are.

    Args:
        sets: purpose ("calibration", "evaluation", ...) and the set used for it.

    Returns:
        A sentence, with both files, for each image that looks like one of another set though its pixels differ.

    Raises:
        InputError: names both files.
    """
    seen: dict[str, tuple[str, AnySample]] = {}
    looks: list[tuple[str, AnySample, NDArray[np.float32]]] = []
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
            look = _looks(plane)
            if look is not None:
                looks.append((purpose, sample, look))
    return tuple(_alike(looks))


def require_apart(sets: Purposes, allow: bool = False) -> tuple[str, ...]:
    """Refuse people (or volumes) that appear in two of the sets.

    Args:
        sets: as for :func:`require_disjoint`, the one that is judged last.
        allow: say what it costs instead.

    Returns:
        Where overlaps are allowed and there is one, a sentence with its cost, without any name.

    Raises:
        InputError: names one of them and both files.
    """
    found = [overlap for column in PERSON_COLUMNS for overlap in _in_two(sets, column)]
    if not found:
        return ()
    if not allow:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"{sets[0][1].root}: {found[0]}{more}; keep each in one split, or accept flattered scores "
            "with --allow-overlap"
        )
    judged = sets[-1][1]
    seen = {(column, value) for _, images in sets[:-1] for sample in images for column, value in _people(sample)}
    known = sum(any(person in seen for person in _people(sample)) for sample in judged)
    return (
        f"{known} of {len(judged)} images of the verdict are of patients or volumes that calibration or the search has "
        "seen (--allow-overlap): all scores here are flattered, and the intervals hold for those patients only",
    )


def _people(sample: AnySample) -> list[tuple[str, str]]:
    return [(column, sample.columns[column]) for column in PERSON_COLUMNS if sample.columns.get(column)]


def _in_two(sets: Purposes, column: str) -> Iterator[str]:
    """A sentence for each value of a column that appears in two of the sets."""
    first: dict[str, tuple[str, AnySample]] = {}
    told: set[str] = set()
    for purpose, images in sets:
        for sample in images:
            value = sample.columns.get(column)
            if not value or value in told:
                continue
            other_purpose, other = first.setdefault(value, (purpose, sample))
            if other_purpose != purpose:
                told.add(value)
                yield f"{column} {value} is for {other_purpose} ({_where(other)}) and for {purpose} ({_where(sample)})"


def _looks(plane: Plane) -> NDArray[np.float32] | None:
    """What stays the same when a picture is stored with losses, scaled or retouched: whether each of 16 x 15 neighbours
    in a thumbnail grows brighter.

    Returns:
        ``[3, 240]`` of 1 and -1: upright, mirrored, upside down; None for a picture without contrast.
    """
    grey = plane.values if plane.values.ndim == 2 else plane.values.mean(axis=2)
    low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return None
    levels = ((grey.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)
    thumbnail = np.asarray(Image.fromarray(levels).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.int16)
    if thumbnail.std() < _FLAT:
        return None
    turned = np.stack([thumbnail, thumbnail[:, ::-1], thumbnail[::-1]])
    return np.where(np.diff(turned, axis=2) > 0, 1.0, -1.0).reshape(3, -1).astype(np.float32)


def _alike(seen: Sequence[tuple[str, AnySample, NDArray[np.float32]]]) -> Iterator[str]:
    """Images that look, some way up, like one of another purpose."""
    if not seen:
        return
    looks = np.stack([look for _, _, look in seen])
    purposes = np.array([purpose for purpose, _, _ in seen])
    for index, (purpose, sample, look) in enumerate(seen):
        others = np.flatnonzero(purposes[:index] != purpose)
        if not len(others):
            continue
        likeness = (looks[others] @ look[0]).max(axis=1)  # 240 less two for each neighbour that differs
        nearest = int(likeness.argmax())
        if likeness[nearest] >= looks.shape[2] - 2 * _CLOSE:
            other_purpose, other, _ = seen[int(others[nearest])]
            yield (
                f"{_where(sample)} ({purpose}) looks like {_where(other)} ({other_purpose}), "
                "though not to the pixel; copies in two splits flatter the scores"
            )


def _where(sample: AnySample) -> str:
    return f"{sample.image}{f' (slice {sample.index})' if sample.volume else ''}"
