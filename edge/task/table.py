"""A task as plain values: the ``[task]`` table of a TOML file, of a graph's metadata and of ``engine.json``.

What an older task did not know is written only where it says something, so that old tables stay as they are.
"""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Iterable, Mapping

from ..errors import InputError
from .intensity import Intensity
from .statistics import Statistics
from .tiles import Tile

if TYPE_CHECKING:
    from .task import SegmentationTask

_ALWAYS = ("size", "channels", "resize", "normalize", "scale", "mean", "std", "classes", "output", "activation",
           "output_name", "threshold")  # fmt: skip
_ADDED = ("fit", "pad_value", "tile", "labels", "thresholds", "ignore", "mask_values", "upsample", "intensity")
KEYS = _ALWAYS + _ADDED
_PAIRS = ("range", "percentile")


def read_table(table: Any) -> dict[str, Any]:
    """The table's values as a task takes them.

    Raises:
        InputError: not a table, a key that is not known, or one that must be there.
    """
    if not isinstance(table, Mapping):
        raise InputError("the task is not a table; edge init MODEL > task.toml to start from")
    _require_known(table, KEYS, "task")
    if "size" not in table:
        raise InputError("the task names no size; add size = [height, width]")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    if "labels" in values:
        values["overlapping"] = _labels(values.pop("labels"))
    if "thresholds" in values and not isinstance(values["thresholds"], tuple):
        values["thresholds"] = (values["thresholds"],)
    if "tile" in values:
        values["tile"] = Tile(**_known(values["tile"], ("overlap", "blend"), "tile"))
    if "mask_values" in values:
        values["mask_values"] = tuple((str(k), v) for k, v in _table(values["mask_values"], "mask_values").items())
    if "intensity" in values:
        values["intensity"] = _read_intensity(values["intensity"])
        if values["intensity"].to_unit:
            values.setdefault("scale", 1.0)
    return values


def write_table(task: SegmentationTask) -> dict[str, Any]:
    """The task as plain values."""
    table = {key: _plain(getattr(task, key)) for key in _ALWAYS if getattr(task, key) is not None}
    usual = {f.name: f.default for f in fields(task)}
    for key in ("fit", "pad_value", "thresholds", "ignore", "upsample"):
        if getattr(task, key) != usual[key]:
            table[key] = _plain(getattr(task, key))
    if task.overlapping:
        table["labels"] = "overlapping"
    if task.tile != Tile() or task.fit == "tile":
        table["tile"] = {"overlap": task.tile.overlap, "blend": task.tile.blend}
    if task.mask_values:
        table["mask_values"] = dict(task.mask_values)
    if task.intensity is not None:
        table["intensity"] = _write_intensity(task.intensity)
    return table


def _read_intensity(table: Any) -> Intensity:
    values = dict(_known(table, ("window", *_PAIRS, "nonzero", "scope", "learned"), "intensity"))
    if "window" in values:
        window = _known(values["window"], ("center", "centre", "width"), "window")
        centre = window.get("center", window.get("centre"))
        if centre is None or "width" not in window:
            raise InputError("task: window needs both, as in window = { center = 40, width = 400 }")
        values["window"] = (centre, window["width"])
    for key in _PAIRS:
        if key in values:
            values[key] = tuple(values[key])
    if "learned" in values:
        learned = _known(values["learned"], ("levels", "spread"), "learned")
        values["learned"] = Statistics(*(tuple(map(tuple, learned.get(key, ()))) for key in ("levels", "spread")))
    return Intensity(**values)


def _write_intensity(intensity: Intensity) -> dict[str, Any]:
    table: dict[str, Any] = {key: list(getattr(intensity, key)) for key in _PAIRS if getattr(intensity, key)}
    if intensity.window is not None:
        table["window"] = {"center": intensity.window[0], "width": intensity.window[1]}
    if intensity.nonzero:
        table["nonzero"] = True
    if intensity.scope != "image":
        table["scope"] = intensity.scope
    if intensity.learned is not None:
        pairs = (("levels", intensity.learned.levels), ("spread", intensity.learned.spread))
        table["learned"] = {key: [list(pair) for pair in value] for key, value in pairs if value}
    return table


def _labels(value: Any) -> bool:
    if value not in ("exclusive", "overlapping"):
        raise InputError(
            f"task: labels = {value!r} is not one of exclusive, overlapping{meant(value, ['overlapping'])}"
        )
    return bool(value == "overlapping")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _known(table: Any, keys: tuple[str, ...], name: str) -> Mapping[str, Any]:
    _require_known(_table(table, name), keys, name)
    return table


def _table(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"task: {name} is not a table; write {name} = {{ ... }} or [task.{name}]")
    return value


def _require_known(table: Mapping[str, Any], keys: Iterable[str], name: str) -> None:
    unknown = sorted(set(table) - set(keys))
    if unknown:
        known = ", ".join(sorted(set(keys) - {"learned", "centre"}))
        raise InputError(f"unknown {name} key {unknown[0][:60]!r}{meant(unknown[0], keys)}; known keys are {known}")


def meant(word: Any, known: Iterable[str]) -> str:
    """``; did you mean X?`` where something close is known, else nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
