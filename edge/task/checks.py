"""What a task may not say: every contradiction is refused before anything runs, with the key that is wrong."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Mapping

from ..errors import InputError
from .channels import ORDERS
from .fit import FITS
from .intensity import SCOPES, takes_figures
from .table import meant
from .tiles import BLENDS

if TYPE_CHECKING:
    from .task import SegmentationTask

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "resize": ("bilinear", "bicubic", "area", "nearest"),
    "normalize": ("fixed", "minmax", "zscore"),
    "output": ("logits", "probabilities", "labels"),
    "activation": ("sigmoid", "softmax", "none"),
    "fit": FITS,
    "upsample": ("nearest", "bilinear"),
}
_UNIT_SCALE, _BEYOND_UNIT = 255.0, 2.0  # 8-bit levels over the first lie in [0, 1], far below the second
_INSTEAD = {
    "minmax": "leave them out, or, where training took both steps, have [task.intensity] bring values to [0, 1] by "
    'percentile = [0, 100] and give normalize = "fixed"',
    "zscore": "it takes both from the images, so leave them out",
}
_MOST_CLASSES = 256  # masks are uint8
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def require_sound(task: SegmentationTask) -> None:
    """Refuse a task that contradicts itself.

    Raises:
        InputError: names the key and what it must be.
    """
    for name, allowed in _CHOICES.items():
        _require_choice(name, getattr(task, name), allowed)
    _require_size(task)
    _require_channels(task)
    _require_scaling(task)
    _require_classes(task)
    _require_thresholds(task)
    _require_tile(task)
    _require_masks(task)
    _require_intensity(task)


def _require_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(
            f"task: {name} = {value!r} is not one of {', '.join(allowed)}{meant(value, allowed)}; correct the task"
        )


def _require_size(task: SegmentationTask) -> None:
    if not (_all(task.size, int) and len(task.size) == 2 and min(task.size) >= 1):
        raise InputError(f"task: size = {_shown(task.size)} must be [height, width] in pixels; correct the task")


def _require_channels(task: SegmentationTask) -> None:
    channels = task.channels
    if isinstance(channels, str):
        return _require_choice("channels", channels, ORDERS)
    if not _all(channels, str, int) or not channels or len(set(channels)) < len(channels):
        raise InputError(
            f"task: channels = {_shown(channels)} must be {', '.join(ORDERS)}, or a list of distinct names or numbers"
        )
    numbers = [name for name in channels if isinstance(name, int)]
    if numbers and (len(numbers) < len(channels) or min(numbers) < 0):
        raise InputError(f"task: channels = {_shown(channels)} mixes names and numbers; numbers count from 0")
    return None


def _require_scaling(task: SegmentationTask) -> None:
    for name in ("mean", "std"):
        values = getattr(task, name)
        if not (_all(values, float, int) and all(map(math.isfinite, values))):
            raise InputError(f"task: {name} = {_shown(values)} must be a list of numbers; correct the task")
        if len(values) not in (1, task.in_channels):
            raise InputError(
                f"task: {name} has {len(values)} values for {task.in_channels} channels; give one or one each"
            )
    if not (_all((task.scale, task.threshold, task.pad_value), float, int) and math.isfinite(task.scale)):
        raise InputError("task: scale, threshold and pad_value must be numbers; correct the task")
    if task.scale == 0 or 0 in task.std:
        raise InputError("task: scale and std must not be 0; correct the task")
    _require_figures(task)
    if not math.isfinite(task.pad_value):
        raise InputError("task: pad_value must be a finite number; correct the task")
    if task.in_levels and task.fit != "stretch" and not _is_level(task):
        raise InputError(
            f"task: pad_value = {task.pad_value:g} is no grey level (it counts before mean and std, after scale or "
            "minmax); give one that is"
        )


def _require_figures(task: SegmentationTask) -> None:
    """Refuse a scale, a mean and a deviation that are not of the values in front of them."""
    given = f"mean = {_shown(task.mean)} and std = {_shown(task.std)}"
    if task.normalize != "fixed":
        if any(task.mean) or set(task.std) != {1}:
            raise InputError(
                f'task: {given} are not used by normalize = "{task.normalize}"; {_INSTEAD[task.normalize]}'
            )
        return
    to_unit = task.intensity is not None and task.intensity.to_unit
    if to_unit and task.scale >= _UNIT_SCALE:
        raise InputError(
            f"task: scale = {task.scale:g} divides values that [task.intensity] brings to [0, 1] before it; "
            "set scale = 1"
        )
    if min(task.mean) <= _BEYOND_UNIT:
        return
    if to_unit and task.scale >= 1.0:
        raise InputError(
            f"task: {given} are of the image's own values, which [task.intensity] brings to [0, 1] before them; give "
            "those of [0, 1]"
        )
    if task.intensity is None and task.scale >= _UNIT_SCALE and min(task.std) > _BEYOND_UNIT:
        raise InputError(
            f"task: {given} are of grey levels, which scale = {task.scale:g} brings to [0, 1] before them; "
            "set scale = 1"
        )


def _is_level(task: SegmentationTask) -> bool:
    if task.normalize == "minmax":
        return 0.0 <= task.pad_value <= 1.0
    return 0.0 <= math.floor(task.pad_value * task.scale + 0.5) <= 255.0


def _require_classes(task: SegmentationTask) -> None:
    classes = task.classes
    if not _all(classes, str) or len(set(classes)) < len(classes):
        raise InputError(f"task: classes = {_shown(classes)} must be a list of distinct names; correct the task")
    most = _MOST_CLASSES - 1 if task.ignore is not None else _MOST_CLASSES
    if not 1 <= len(classes) <= most:
        raise InputError(f"task: {len(classes)} classes; name at least the foreground class, and at most {most}")
    if task.output_name is not None and not isinstance(task.output_name, str):
        raise InputError(f"task: output_name = {task.output_name!r} is not a name; correct the task")
    if task.output == "labels":
        return _require_decided(task)
    if task.overlapping and task.activation == "softmax":
        raise InputError("task: overlapping labels have a sigmoid each, softmax lets one win; correct activation")
    if task.overlapping:
        return None
    if task.activation == "sigmoid" and len(classes) > 1:
        raise InputError(
            "task: a sigmoid for each of several classes means that they may overlap; add labels = "
            '"overlapping" (or activation = "softmax", only where the network was trained with it)'
        )
    if task.activation == "softmax" and len(classes) == 1:
        raise InputError("task: softmax over one class is always 1; name the background class as well")
    return None


def _require_decided(task: SegmentationTask) -> None:
    if task.overlapping:
        raise InputError('task: class indices cannot overlap; leave labels or output = "labels" out')
    if task.fit == "tile":
        raise InputError("task: tiles are blended, class indices cannot be; export the graph without its argmax")


def _require_thresholds(task: SegmentationTask) -> None:
    if not 0.0 < task.threshold < 1.0:
        raise InputError(f"task: threshold = {task.threshold} must lie between 0 and 1; correct the task")
    given = task.thresholds
    if not given:
        return
    if not task.overlapping:
        raise InputError('task: thresholds are for labels = "overlapping"; one map, or two, take threshold')
    if not _all(given, float, int) or not all(0.0 < value < 1.0 for value in given):
        raise InputError(f"task: thresholds = {_shown(given)} must lie between 0 and 1; correct the task")
    if len(given) not in (1, len(task.classes)):
        raise InputError(f"task: {len(given)} thresholds for {len(task.classes)} classes; give one or one each")


def _require_tile(task: SegmentationTask) -> None:
    _require_choice("blend", task.tile.blend, BLENDS)
    if not _all((task.tile.overlap,), float, int) or not 0.0 <= task.tile.overlap < 1.0:
        raise InputError(f"task: overlap = {task.tile.overlap!r} must be a share of a tile, from 0 to below 1")


def _require_masks(task: SegmentationTask) -> None:
    if task.ignore is not None and not _all((task.ignore,), int):
        raise InputError(f"task: ignore = {task.ignore!r} must be a value of the mask files; correct the task")
    last = len(task.classes) - 1 if len(task.classes) > 1 else 1
    for value, index in task.mask_values:
        if not (value.lstrip("-").isdigit() or _COLOUR.fullmatch(value)):
            raise InputError(f"task: mask_values: {value!r} is neither a number nor #rrggbb; correct the task")
        if not (_all((index,), int) and 0 <= index <= last):
            raise InputError(f"task: mask_values: {value} = {index!r} is no class; classes count from 0 to {last}")
    if task.overlapping and task.mask_values:
        raise InputError("task: overlapping labels have a map each in their masks; leave mask_values out")


def _require_intensity(task: SegmentationTask) -> None:
    intensity = task.intensity
    if intensity is None:
        return
    _require_choice("scope", intensity.scope, SCOPES)
    for key in ("window", "range", "percentile"):
        pair = getattr(intensity, key)
        if pair is not None and not (_all(pair, float, int) and len(pair) == 2 and all(map(math.isfinite, pair))):
            raise InputError(f"task: {key} = {_shown(pair)} must be two numbers; correct [task.intensity]")
    if not isinstance(intensity.nonzero, bool):
        raise InputError(f"task: nonzero = {intensity.nonzero!r} must be true or false; correct [task.intensity]")
    intensity.require_sound()
    groups = 1 if task.colours else task.in_channels
    if intensity.learned is not None:
        for key, wanted in (("levels", intensity.percentile), ("spread", task.normalize != "fixed" or None)):
            pairs = getattr(intensity.learned, key)
            if len(pairs) != (groups if wanted else 0) or not all(_all(p, float, int) and len(p) == 2 for p in pairs):
                raise InputError(f"task: the learned {key} are not those of its channels; deploy the model again")
    elif intensity.scope != "image" and not takes_figures(intensity, task.normalize):
        raise InputError(
            f'task: scope = "{intensity.scope}", but nothing is taken from images; add percentile, or normalize = '
            '"zscore" or "minmax"'
        )


def _all(values: Any, *kinds: type) -> bool:
    """Whether this is a tuple of such values; a bool counts as no number."""
    return isinstance(values, tuple) and all(isinstance(v, kinds) and not isinstance(v, bool) for v in values)


def _shown(values: Any) -> Any:
    return list(values) if isinstance(values, tuple) else repr(values)
