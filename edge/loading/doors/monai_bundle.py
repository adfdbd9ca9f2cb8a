"""``monai:BUNDLE``: a MONAI bundle, ``configs/inference.json``, ``configs/metadata.json`` and ``models/model.pt``.

A bundle's config may call any Python; here only a network of ``monai.networks.nets`` is built from it, of plain values
and references to plain values. Expressions are refused by name, as are transforms that no task can say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.errors import InputError, first_line
from edge.graph.model import Model
from edge.loading.doors.parts import first_file, framework, no_task, table, task_of
from edge.loading.module import load_module, require_torch
from edge.task.task import SegmentationTask

_WHAT = "MONAI bundle"
_SILENT = frozenset(
    ("LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "Orientationd", "ToTensord", "AsDiscreted", "CastToTyped")
)


def load(named: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """See :mod:`edge.loading.doors`.

    Raises:
        InputError: no such bundle, a network that is not MONAI's or not 2-D, transforms that a task cannot say.
        MachineError: MONAI is not installed.
    """
    require_torch()
    nets = framework("monai.networks.nets", "monai")
    folder = Path(named)
    config = table(_config(folder), _WHAT)
    network = _network(config, nets, folder)
    file = weights or first_file(folder / "models", ("model.safetensors", "model.pt"), "weights")
    return load_module(network, file, task or _task(config, folder), folder.name, f"monai:{named}")


def _config(folder: Path) -> Path:
    """The bundle's own words on its network.

    Raises:
        InputError: no such folder, or its config is YAML.
    """
    names = ("inference.json", "train.json")
    found = next((folder / "configs" / name for name in names if (folder / "configs" / name).is_file()), None)
    if found is not None:
        return found
    if list((folder / "configs").glob("*.y*ml")):
        raise InputError(f"{folder}: its configs are YAML; write {names[0]} (ConfigParser.export_config_file does)")
    raise InputError(f"{folder}: is no MONAI bundle (no configs/{names[0]}); check the path")


def _network(config: dict[str, Any], nets: Any, folder: Path) -> Any:
    described = next(
        (config[key] for key in ("network_def", "network", "net") if isinstance(config.get(key), dict)), None
    )
    if described is None:
        raise InputError(f"{folder}: its config defines no network_def; check the bundle")
    options = {key: _plain(value, config, key, folder) for key, value in described.items() if not key.startswith("_")}
    target = str(described.get("_target_", "")).rpartition(".")[2]
    if not hasattr(nets, target):
        raise InputError(
            f"{folder}: its network {described.get('_target_')!r} is none of monai.networks.nets; not built"
        )
    if options.get("spatial_dims", 2) != 2:
        raise InputError(f"{folder}: its network is {options['spatial_dims']}-D; a network of slices is needed")
    try:
        return getattr(nets, target)(**options)
    except Exception as error:  # the library raises errors of many kinds
        raise InputError(f"{folder}: MONAI does not build {target} ({first_line(error)}); correct the config") from None


def _plain(value: Any, config: Mapping[str, Any], key: str, folder: Path) -> Any:
    """A value without code in it; references to others are followed.

    Raises:
        InputError: an expression.
    """
    if isinstance(value, str) and value.startswith("$"):
        raise InputError(f"{folder}: {key} is an expression ({value}), and none is run; write its value")
    if isinstance(value, str) and value.startswith("@"):
        found: Any = config
        for part in value[1:].replace("::", "#").split("#"):
            found = found[int(part)] if isinstance(found, list) else found.get(part)
        return _plain(found, config, key, folder)
    if isinstance(value, list):
        return [_plain(item, config, key, folder) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item, config, name, folder) for name, item in value.items()}
    return value


def _task(config: dict[str, Any], folder: Path) -> SegmentationTask:
    metadata = table(folder / "configs" / "metadata.json", _WHAT)
    data = metadata.get("network_data_format", {})
    image: dict[str, Any] = next(iter(data.get("inputs", {}).values()), {})
    output: dict[str, Any] = next(iter(data.get("outputs", {}).values()), {})
    named = output.get("channel_def", {})
    channels = int(image.get("num_channels", 1))
    values: dict[str, Any] = {
        "size": [int(length) for length in image.get("spatial_shape", [])],
        "channels": {1: "grey", 3: "rgb"}.get(channels, [f"channel{index}" for index in range(channels)]),
        "classes": [str(name) for _, name in sorted(named.items(), key=lambda item: int(item[0]))] or ["foreground"],
        "scale": 1.0,
    }
    for transform in _transforms(config, folder):
        values |= transform
    return task_of(values, folder / "configs" / "metadata.json")


def _transforms(config: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """What each transform of the preprocessing means for a task."""
    preprocessing = config.get("preprocessing", {})
    found = []
    for transform in preprocessing.get("transforms", []) if isinstance(preprocessing, dict) else []:
        name = str(transform.get("_target_", "")).rpartition(".")[2]
        if name in _SILENT or transform.get("_disabled_") is True:
            continue
        if name not in _MEANINGS:
            raise no_task(f"monai:{folder}", f"its preprocessing has {name}, which no task says")
        options = {k: _plain(v, config, k, folder) for k, v in transform.items() if not k.startswith("_")}
        found.append(_MEANINGS[name](options))
    return found


def _resized(options: dict[str, Any]) -> dict[str, Any]:
    kernels = {"area": "area", "nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic"}
    return {"size": list(options["spatial_size"]), "resize": kernels[options.get("mode", "area")]}


def _scaled(options: dict[str, Any]) -> dict[str, Any]:
    return {"normalize": "minmax"}


def _ranged(options: dict[str, Any]) -> dict[str, Any]:
    low, high = float(options.get("b_min", 0.0)), float(options.get("b_max", 1.0))
    # (v - a) / (b - a) is in [0, 1]; from there to [low, high] is a mean and a deviation.
    mean, std = -low / (high - low), 1.0 / (high - low)
    return {"intensity": {"range": [options["a_min"], options["a_max"]]}, "mean": [mean], "std": [std]}


def _normalised(options: dict[str, Any]) -> dict[str, Any]:
    nonzero = {"intensity": {"nonzero": True}} if options.get("nonzero") else {}
    if options.get("subtrahend") is None:
        return {"normalize": "zscore", **nonzero}
    mean, std = (v if isinstance(v, list) else [v] for v in (options["subtrahend"], options["divisor"]))
    return {"mean": mean, "std": std}


_MEANINGS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Resized": _resized,
    "ScaleIntensityd": _scaled,
    "ScaleIntensityRanged": _ranged,
    "NormalizeIntensityd": _normalised,
}
