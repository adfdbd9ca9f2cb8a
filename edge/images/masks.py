"""Masks: from what a file holds to what each pixel is of the task's classes.

``[h, w]`` uint8 class indices, or ``[classes, h, w]`` of 0 and 1 where labels overlap;
:data:`edge.task.decide.IGNORED` where a pixel is not to be counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.images.levels import levels_of
from edge.images.readers.stack import Pixels, whole_numbers
from edge.task.decide import IGNORED
from edge.task.task import SegmentationTask

_BACKGROUND = frozenset(("background", "bg", "none", "void"))
_GREY = 0x010101  # times a level: the colour of that grey
_SHOWN = 6
Segments = Sequence[tuple[int, str]]


def class_labels(planes: Sequence[Pixels], segments: Segments, task: SegmentationTask) -> NDArray[np.uint8]:
    """What each pixel of one image is.

    Args:
        planes: of the mask's files, in the order of the classes where there are several; all of one size.
        segments: number and label of each channel, where the file says so.
        task: names the classes, and what values stand for them.

    Raises:
        InputError: values, channels or segments that the task does not speak of; without the file's name.
    """
    if segments:
        return _from_segments(planes[0].values, segments, task)
    if task.overlapping:
        return _overlapping(planes, task)
    if len(planes) > 1 or planes[0].values.ndim != 2:
        count = len(planes) if len(planes) > 1 else planes[0].values.shape[2]
        raise InputError(
            f"holds {count} maps, but the labels of the task exclude each other; give one map of class indices, or say "
            'labels = "overlapping" in the task'
        )
    return _exclusive(planes[0], task)


def _exclusive(pixels: Pixels, task: SegmentationTask) -> NDArray[np.uint8]:
    values = whole_numbers(pixels.values)
    if task.mask_values:
        return _mapped(values, pixels, task)
    ignored = values == _ignored_value(pixels, task) if task.ignore is not None else None
    _require_background(values, ignored, task)
    if pixels.coloured:
        _require_one_colour(values, ignored, task)
    labels = _two_levels(values, ignored) if len(task.classes) <= 2 else _indices(values, ignored, task)
    if ignored is not None:
        labels[ignored] = IGNORED
    return labels


def _require_background(values: NDArray[np.int64], ignored: NDArray[np.bool_] | None, task: SegmentationTask) -> None:
    """Refuse masks with a level for every class and one for none, where the task names no background."""
    count = len(task.classes)
    if task.classes[0].strip("_ ").casefold() in _BACKGROUND:
        return
    levels = levels_of(values if ignored is None else values[~ignored])
    if count > 1 and levels.min(initial=0) == 0 and levels.max(initial=0) == count:
        first, names = task.classes[0], ", ".join(task.classes)
        raise InputError(
            f"holds 0 to {count}, one level more than the task has classes, and by softmax the first of them ({first}) "
            f"is the background; if {names} exclude each other, name the background before them; if they are regions "
            'that overlap, say labels = "overlapping" and activation = "sigmoid", and give one map for each'
        )


def _require_one_colour(values: NDArray[np.int64], ignored: NDArray[np.bool_] | None, task: SegmentationTask) -> None:
    """Refuse colours that nothing says the classes of; one beside black marks a foreground."""
    levels = levels_of(values if ignored is None else values[~ignored])
    if len(task.classes) > 2 or len(levels[levels != 0]) > 1:
        colours = [f'"#{level:06x}"' for level in levels.tolist()]
        shown = ", ".join(colours[:_SHOWN]) + (f" and {len(colours) - _SHOWN} more" if len(colours) > _SHOWN else "")
        raise InputError(
            f"holds colours ({shown}); say in the task which class each stands for, as in mask_values = "
            f"{{ {colours[0]} = 0, {colours[-1]} = 1 }}"
        )


def _ignored_value(pixels: Pixels, task: SegmentationTask) -> int | None:
    """The value that is not counted; a level, which in a file of colours is the grey of that level."""
    level = task.ignore
    return level * _GREY if level is not None and pixels.coloured and 0 <= level <= 255 else level


def _two_levels(values: NDArray[np.int64], ignored: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    seen = values if ignored is None else values[~ignored]
    levels = levels_of(seen)
    if len(levels[levels != 0]) > 1:
        fix = "make it 0 and one other value"
        if 255 in levels:  # by making it 255 or 0 the truth would change
            fix = "add ignore = 255 to the task, if 255 marks what is not to be counted"
        raise InputError(
            f"{len(levels)} grey levels in the mask of a two-level task; {fix}, or say what each stands for by "
            "mask_values"
        )
    return np.asarray(values != 0, dtype=np.uint8)


def _indices(values: NDArray[np.int64], ignored: NDArray[np.bool_] | None, task: SegmentationTask) -> NDArray[np.uint8]:
    seen = values if ignored is None else values[~ignored]
    low, high = int(seen.min(initial=0)), int(seen.max(initial=0))
    if high >= len(task.classes) or low < 0:
        fix = "store class indices from 0"
        if high == 255:
            fix = "add ignore = 255 to the task, if that marks what is not to be counted"
        raise InputError(
            f"class index {high if low >= 0 else low} in the mask, but the task names {len(task.classes)} classes; "
            f"{fix}, or say what each value stands for by mask_values"
        )
    return np.where(values < 0, 0, values).astype(np.uint8)


def _mapped(values: NDArray[np.int64], pixels: Pixels, task: SegmentationTask) -> NDArray[np.uint8]:
    """By ``mask_values``: numbers are the values of the file, ``#rrggbb`` its colours."""
    classes = _value_classes(pixels, task)
    levels, inverse = np.unique(values, return_inverse=True)
    unknown = [int(level) for level in levels if int(level) not in classes]
    if unknown:
        shown = _shown(unknown[0], pixels)
        raise InputError(f"holds the value {shown}, which mask_values does not name; add {shown} = CLASS INDEX")
    table = np.array([classes[int(level)] for level in levels], np.uint8)
    return table[inverse].reshape(values.shape)


def _shown(value: int, pixels: Pixels) -> str:
    """A value as mask_values would name it."""
    if pixels.palette is not None and value < len(pixels.palette):
        return f'"#{pixels.palette[value]:06x}"'
    return f'"#{value:06x}"' if pixels.coloured else str(value)


def _value_classes(pixels: Pixels, task: SegmentationTask) -> Mapping[int, int]:
    """Value in this file to label; of a palette, every index whose colour is named."""
    classes: dict[int, int] = {}
    for key, label in task.mask_values:
        if not key.startswith("#"):
            classes[int(key)] = label
            continue
        colour = int(key[1:], 16)
        if pixels.palette is not None:
            classes.update({index: label for index, entry in enumerate(pixels.palette) if entry == colour})
        elif pixels.coloured:
            classes[colour] = label
        elif colour == (colour & 255) * _GREY:  # a file of greys is read as grey levels
            classes[colour & 255] = label
    if (ignored := _ignored_value(pixels, task)) is not None:
        classes[ignored] = IGNORED
    return classes


def _overlapping(planes: Sequence[Pixels], task: SegmentationTask) -> NDArray[np.uint8]:
    maps: list[NDArray[Any]] = []
    for pixels in planes:
        values = pixels.values
        maps += [values] if values.ndim == 2 else [values[..., channel] for channel in range(values.shape[2])]
    if len(maps) != len(task.classes):
        raise InputError(
            f"holds {len(maps)} map{'s' if len(maps) > 1 else ''}, but labels overlap and the task names "
            f"{len(task.classes)} classes ({', '.join(task.classes)}); give one map for each, in this order"
        )
    labels = np.zeros((len(maps), *maps[0].shape), np.uint8)
    for index, values in enumerate(maps):
        numbers = whole_numbers(values)
        ignored = numbers == task.ignore if task.ignore is not None else None
        labels[index] = _two_levels(numbers, ignored)
        if ignored is not None:
            labels[:, ignored] = IGNORED  # of every map, whichever marks it
    ignored_anywhere = (labels == IGNORED).any(axis=0)
    labels[:, ignored_anywhere] = IGNORED if task.ignore is not None else 0
    return labels


def _from_segments(values: NDArray[Any], segments: Segments, task: SegmentationTask) -> NDArray[np.uint8]:
    """``[h, w, segments]`` of 0 and 1, matched to classes by label, then by number."""
    classes = _segment_classes(segments, task)
    maps = np.zeros((len(task.foreground), *values.shape[:2]), np.uint8)
    for channel, position in enumerate(classes):
        if position is not None:
            maps[position] |= values[..., channel] != 0
    if task.overlapping:
        return maps
    if (maps.sum(axis=0) > 1).any():
        raise InputError('has segments that overlap; say labels = "overlapping" in the task, or export others')
    labels = np.zeros(values.shape[:2], np.uint8)
    for position, (label, _) in enumerate(task.foreground):
        labels[maps[position] == 1] = label
    return labels


def _segment_classes(segments: Segments, task: SegmentationTask) -> list[int | None]:
    """For each segment its place among the foreground classes; None for what ``mask_values`` calls background."""
    places = {label: position for position, (label, _) in enumerate(task.foreground)}
    if task.mask_values:
        named = {int(key): label for key, label in task.mask_values if not key.startswith("#")}
        for number, title in segments:
            if number not in named:
                raise InputError(
                    f"has segment {number} ({title}), which mask_values does not name; add {number} = CLASS"
                )
        return [places.get(named[number]) for number, _ in segments]
    titles = {name.casefold(): position for position, (_, name) in enumerate(task.foreground)}
    by_title = [titles.get(title.casefold()) for _, title in segments]
    if any(position is not None for position in by_title):
        _require_all([title for (_, title), p in zip(segments, by_title, strict=True) if p is None], task)
        return list(by_title)
    by_number = [number - 1 if number <= len(places) else None for number, _ in segments]
    _require_all([title for (_, title), p in zip(segments, by_number, strict=True) if p is None], task)
    return list(by_number)


def _require_all(unknown: Sequence[str], task: SegmentationTask) -> None:
    if unknown:
        known = ", ".join(name for _, name in task.foreground)
        raise InputError(
            f"has a segment {unknown[0]!r} that is none of the task's classes ({known}); leave it out by mask_values = "
            "{ NUMBER = 0 }, or name the class"
        )
