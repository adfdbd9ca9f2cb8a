"""``nnunet:FOLDER``: an nnU-Net v2 result folder, its 2-D configuration.

``plans.json`` says the network and the normalisation, ``dataset.json`` channels and labels, ``fold_*/`` the weights.
Whole images are covered by tiles of the patch size with half overlap, blended as nnU-Net does.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.graph.model import Model
from edge.loading.doors.parts import first_file, framework, no_task, table, task_of
from edge.loading.module import load_module, require_torch
from edge.task.task import SegmentationTask

_PACKAGE = "dynamic_network_architectures"
_WEIGHTS = tuple(f"fold_{fold}/checkpoint_{which}.pth" for fold in (*range(5), "all") for which in ("final", "best"))
_WHAT = "nnU-Net result"


def load(named: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """See :mod:`edge.loading.doors`.

    Raises:
        InputError: no such folder, no 2-D configuration, labels or normalisation that a task cannot say.
        MachineError: the architectures are not installed.
    """
    require_torch("nnunet")
    framework(f"{_PACKAGE}.architectures.unet", "nnunet")
    folder = _result(Path(named))
    plans, dataset = table(folder / "plans.json", _WHAT), table(folder / "dataset.json", _WHAT)
    configuration = plans.get("configurations", {}).get("2d")
    if not configuration:
        raise InputError(f"{folder}: has no 2-D configuration; train nnU-Net with -c 2d")
    network = _network(configuration, plans, dataset, folder)
    file = weights or first_file(folder, _WEIGHTS, "weights")
    task = task or _task(configuration, plans, dataset, folder)
    return load_module(network, file, task, str(plans.get("dataset_name", folder.name)), f"nnunet:{named}")


def _result(folder: Path) -> Path:
    """The folder with the plans: the one that is named, the one that a fold's lies in, or its only 2-D result.

    Raises:
        InputError: several results to choose from.
    """
    if (folder / "plans.json").is_file():
        return folder
    if (folder.parent / "plans.json").is_file():
        return folder.parent
    found = sorted(path.parent for path in folder.glob("*__2d/plans.json"))
    if len(found) > 1:
        raise InputError(f"{folder}: holds several results; name one: {', '.join(path.name for path in found)}")
    return found[0] if found else folder


def _network(configuration: dict[str, Any], plans: dict[str, Any], dataset: dict[str, Any], folder: Path) -> Any:
    described = configuration.get("architecture")
    if not described:
        raise InputError(f"{folder}: its plans are of an older nnU-Net and describe no architecture; plan it again")
    options = dict(described["arch_kwargs"])
    for key in described.get("_kw_requires_import", ()):
        if options.get(key) is not None:
            options[key] = _named(str(options[key]), ("torch.nn.",), folder)
    build = _named(str(described["network_class_name"]), (f"{_PACKAGE}.",), folder)
    return build(
        input_channels=len(dataset["channel_names"]),
        num_classes=len(_labels(dataset, folder)),
        deep_supervision=False,
        **options,
    )


def _named(name: str, allowed: tuple[str, ...], folder: Path) -> Any:
    """A class of the framework or of PyTorch, nothing else.

    Raises:
        InputError: anything else.
    """
    module, _, attribute = name.rpartition(".")
    if not name.startswith(allowed):
        raise InputError(f"{folder}: its plans name {name}, which is no class of {allowed[0].strip('.')}; not built")
    return getattr(import_module(module), attribute)


def _labels(dataset: dict[str, Any], folder: Path) -> list[str]:
    labels = dataset["labels"]
    if any(isinstance(value, list) for value in labels.values()):
        raise no_task(
            f"nnunet:{folder}",
            f"its labels are regions that overlap ({', '.join(labels)}), which a task says by labels = "
            '"overlapping" and activation = "sigmoid", with one mask for each',
        )
    return [name for name, _ in sorted(labels.items(), key=lambda item: int(item[1])) if name != "ignore"]


def _task(
    configuration: dict[str, Any], plans: dict[str, Any], dataset: dict[str, Any], folder: Path
) -> SegmentationTask:
    names = [name for _, name in sorted(dataset["channel_names"].items(), key=lambda item: int(item[0]))]
    labels = dataset["labels"]
    values: dict[str, Any] = {
        "size": [int(length) for length in configuration["patch_size"]],
        "channels": _channels(names, configuration),
        "classes": _labels(dataset, folder),
        "fit": "tile",
        "tile": {"overlap": 0.5, "blend": "gaussian"},
        **_normalisation(configuration, plans, folder),
    }
    if "ignore" in labels:
        values["ignore"] = int(labels["ignore"])
    return task_of(values, folder / "plans.json")


def _channels(names: list[str], configuration: dict[str, Any]) -> str | list[str]:
    """Colours only where nothing is taken of them: nnU-Net takes figures of each channel, a task of all colours."""
    alike = set(configuration["normalization_schemes"]) <= {"RGBTo01Normalization", "NoNormalization"}
    if len(names) == 1:
        return "grey"
    if (
        len(names) == 3
        and alike
        and (len(set(names)) < 3 or [name[:1].casefold() for name in names] == ["r", "g", "b"])
    ):
        return "rgb"
    return names if len(set(names)) == len(names) else [f"{name}{index}" for index, name in enumerate(names)]


def _normalisation(configuration: dict[str, Any], plans: dict[str, Any], folder: Path) -> dict[str, Any]:
    schemes = list(dict.fromkeys(configuration["normalization_schemes"]))
    if len(schemes) > 1:
        raise no_task(f"nnunet:{folder}", f"normalises channels by {', '.join(schemes)}")
    (scheme,) = schemes
    if scheme == "ZScoreNormalization":
        masks = set(map(bool, configuration.get("use_mask_for_norm", ())))
        if len(masks) > 1:
            raise no_task(f"nnunet:{folder}", "takes figures of some channels from a mask and of others not")
        masked = True in masks
        return {"normalize": "zscore", **({"intensity": {"nonzero": True}} if masked else {})}
    if scheme == "RescaleTo01Normalization":
        return {"normalize": "minmax"}
    if scheme == "RGBTo01Normalization":
        return {"scale": 255.0}
    if scheme == "NoNormalization":
        return {"scale": 1.0}
    if scheme == "CTNormalization":
        per_channel = plans["foreground_intensity_properties_per_channel"]
        if len(per_channel) > 1:
            raise no_task(f"nnunet:{folder}", f"clips {len(per_channel)} channels at limits of their own")
        found = per_channel["0"]
        low, high = float(found["percentile_00_5"]), float(found["percentile_99_5"])
        width = high - low
        mean, std = (float(found["mean"]) - low) / width, float(found["std"]) / width
        return {"intensity": {"range": [low, high]}, "scale": 1.0, "mean": [mean], "std": [std]}
    raise no_task(f"nnunet:{folder}", f"normalises by {scheme}, which no task says")
