"""Masks of one set must mean the same by the same value: looked at before any time is spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.errors import InputError
from edge.images.image_set import ImageSet, Sample
from edge.images.levels import levels_of
from edge.images.readers.stack import Pixels
from edge.task.task import SegmentationTask


def require_sound_masks(sets: Iterable[ImageSet], task: SegmentationTask) -> None:
    """Decode every pair (of a volume that of its middle slice) and hold the set to one meaning of values.

    Raises:
        InputError: an image without a mask, one that does not belong to it or that the task does not speak of, or two
            that mark by other values or by palettes of other colours.
    """
    values, colours = _Meaning(), _Meaning()
    for sample in _looked_at(sets):
        sample.pair(task)
        if task.mask_values or task.overlapping:
            continue
        for pixels in sample.case.mask_pixels(sample.index, task):
            _compare(sample.case.masks[0], pixels, task, values, colours)


class _Meaning:
    """What each key was first found to be, and in which file."""

    def __init__(self) -> None:
        self._first: dict[object, tuple[int, Path]] = {}

    def other(self, key: object, value: int, path: Path) -> tuple[int, Path] | None:
        """What the key is elsewhere, if that is something else."""
        first = self._first.setdefault(key, (value, path))
        return first if first[0] != value else None


def _looked_at(sets: Iterable[ImageSet]) -> Iterator[Sample]:
    for images in sets:
        volumes: dict[str, list[Sample]] = {}
        for sample in images:
            if isinstance(sample, Sample):
                volumes.setdefault(sample.volume or sample.name, []).append(sample)
        yield from (slices[len(slices) // 2] for slices in volumes.values())


def _compare(path: Path, pixels: Pixels, task: SegmentationTask, values: _Meaning, colours: _Meaning) -> None:
    levels = [int(level) for level in levels_of(pixels.values) if level != 0 and level != task.ignore]
    if pixels.palette is not None:
        for level in levels:
            colour = pixels.palette[level] if level < len(pixels.palette) else 0
            if found := colours.other(level, colour, path):
                raise InputError(
                    f"{path}: its palette has #{colour:06x} at {level}, where that of {found[1].name} has "
                    f'#{found[0]:06x}; say what each colour stands for, as in mask_values = {{ "#{colour:06x}" = 1 }}'
                )
    elif len(task.classes) <= 2 and len(levels) == 1 and (found := values.other("foreground", levels[0], path)):
        raise InputError(
            f"{path}: marks by {levels[0]}, where {found[1].name} marks by {found[0]}; make them alike, or say what "
            f"each stands for, as in mask_values = {{ 0 = 0, {found[0]} = 1, {levels[0]} = 1 }}"
        )
