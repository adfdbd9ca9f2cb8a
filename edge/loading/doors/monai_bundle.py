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
    require_torch("monai")
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
    count = int(image.get("num_channels", 1))
    names = [f"channel{index}" for index in range(count)]
    found = _preprocessing(config, folder)
    per_channel = found.pop("per_channel", None)
    if per_channel is False and count not in (1, 3):
        raise no_task(f"monai:{folder}", "its preprocessing takes figures of all channels together")
    values: dict[str, Any] = {
        "channels": names if per_channel and count > 1 else {1: "grey", 3: "rgb"}.get(count, names),
        "classes": [str(name) for _, name in sorted(named.items(), key=lambda item: int(item[0]))] or ["foreground"],
        "scale": 1.0,
        **found,
    }
    values |= _place(config, image.get("spatial_shape", []), found, folder)
    return task_of(values, folder / "configs" / "metadata.json")


def _place(config: dict[str, Any], shape: Any, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The size of the network's input, and how an image meets it: by the bundle's own windows where it slides one."""
    inferer = config.get("inferer")
    if isinstance(inferer, dict) and str(inferer.get("_target_", "")).endswith("SlidingWindowInferer"):
        options = {key: _plain(value, config, key, folder) for key, value in inferer.items() if not key.startswith("_")}
        window = _pair(options.get("roi_size"))
        if window is not None and found.get("size") not in (None, window):
            raise no_task(f"monai:{folder}", "resizes its images and slides a window over them")
        if window is not None and "size" not in found:
            blend = "gaussian" if options.get("mode") == "gaussian" else "mean"
            return {"size": window, "fit": "tile", "tile": {"overlap": options.get("overlap", 0.25), "blend": blend}}
    size = found.get("size", _pair(shape))
    if size is None:  # "16*n" and "*" are lengths that the network takes, not one to build for
        raise no_task(f"monai:{folder}", f"its metadata names no size in numbers (spatial_shape {shape})")
    return {"size": size}


def _pair(value: Any) -> list[int] | None:
    """A length for each axis, where they are numbers."""
    given = value if isinstance(value, list) else [value, value]
    return [int(length) for length in given] if all(str(length).isdigit() for length in given) and given else None


def _preprocessing(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the transforms of the preprocessing mean for a task."""
    preprocessing = config.get("preprocessing", {})
    found: dict[str, Any] = {}
    scaled: list[str] = []
    for transform in preprocessing.get("transforms", []) if isinstance(preprocessing, dict) else []:
        name = str(transform.get("_target_", "")).rpartition(".")[2]
        options = {k: v for k, v in transform.items() if not k.startswith("_")}
        if name in _SILENT or transform.get("_disabled_") is True or _first(options.get("keys")) in _OF_MASKS:
            continue
        if name not in _MEANINGS:
            raise no_task(f"monai:{folder}", f"its preprocessing has {name}, which no task says")
        options = {k: _plain(v, config, k, folder) for k, v in options.items()}
        try:
            meant = _MEANINGS[name](options)
        except _Unsaid as error:
            raise no_task(f"monai:{folder}", f"its preprocessing has {name} {error}, which no task says") from None
        if name == "Resized":
            found |= meant
            continue
        scaled.append(name)
        both = meant if len(scaled) == 1 else _then(found, meant)
        if both is None:
            raise no_task(f"monai:{folder}", f"its preprocessing has {' and then '.join(scaled)}, which no task says")
        found = {**{key: found[key] for key in ("size", "resize") if key in found}, **both}
    return found


def _then(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any] | None:
    """Two scalings as one, where the first takes nothing from the image; None where a task has no words for them."""
    if "normalize" in first or "mean" not in first or "intensity" in second or "scale" in second:
        return None
    if "normalize" in second:  # what it takes from the image undoes a shift and a factor in front of it
        cut = {"intensity": first["intensity"]} if first.get("intensity") else {}
        return {**second, **cut} if second["normalize"] == "zscore" else None
    if len(first["mean"]) > 1 or len(first["std"]) > 1:
        return None
    (shift,), (factor,) = first["mean"], first["std"]
    means, deviations = [shift + factor * value for value in second["mean"]], [factor * v for v in second["std"]]
    return {**first, "mean": means, "std": deviations}


class _Unsaid(Exception):
    """Options of a transform that a task has no words for."""


def _first(keys: Any) -> Any:
    return keys[0] if isinstance(keys, list) and keys else keys


def _resized(options: dict[str, Any]) -> dict[str, Any]:
    kernel, size = _first(options.get("mode", "area")), _pair(options["spatial_size"])
    if kernel not in ("area", "nearest", "bilinear", "bicubic") or size is None:
        raise _Unsaid(f"by {kernel} to {options['spatial_size']}")
    if options.get("size_mode", "all") != "all":
        raise _Unsaid(f"with size_mode {options['size_mode']}")
    return {"size": size, "resize": kernel}


def _scaled(options: dict[str, Any]) -> dict[str, Any]:
    low, high, factor = options.get("minv", 0.0), options.get("maxv", 1.0), options.get("factor")
    if low is None and high is None:
        return {"scale": 1.0 / (1.0 + float(factor or 0.0))}
    if (low, high) != (0.0, 1.0):
        raise _Unsaid(f"to {low} and {high}")
    return {"normalize": "minmax", "per_channel": bool(options.get("channel_wise", False))}


def _ranged(options: dict[str, Any]) -> dict[str, Any]:
    """``(v - a) / (b - a)``, cut off at 0 and 1 where that is asked for; to [low, high] by a mean and a deviation."""
    a, b = float(options["a_min"]), float(options["a_max"])
    low, high = options.get("b_min"), options.get("b_max")
    low, high = (0.0, 1.0) if low is None or high is None else (float(low), float(high))
    if options.get("clip") or (a, b) == (0.0, 255.0):  # nothing lies outside what 8 bits hold
        values = {"scale": 255.0} if (a, b) == (0.0, 255.0) else {"intensity": {"range": [a, b]}}
        return {**values, "mean": [-low / (high - low)], "std": [1.0 / (high - low)]}
    step = (b - a) / (high - low)
    return {"intensity": {}, "mean": [a - low * step], "std": [step]}


def _normalised(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("subtrahend") is None and options.get("divisor") is None:
        nonzero = {"intensity": {"nonzero": True}} if options.get("nonzero") else {}
        return {"normalize": "zscore", "per_channel": bool(options.get("channel_wise", False)), **nonzero}
    if options.get("nonzero") or options.get("subtrahend") is None or options.get("divisor") is None:
        raise _Unsaid("with nonzero, or with one of subtrahend and divisor alone")
    mean, std = (v if isinstance(v, list) else [v] for v in (options["subtrahend"], options["divisor"]))
    return {"mean": mean, "std": std}


_OF_MASKS = ("label", "mask", "pred", "seg")
_MEANINGS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Resized": _resized,
    "ScaleIntensityd": _scaled,
    "ScaleIntensityRanged": _ranged,
    "NormalizeIntensityd": _normalised,
}
