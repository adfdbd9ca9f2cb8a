"""``hf:FOLDER``: a local Hugging Face folder, ``config.json``, safetensors and ``preprocessor_config.json``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edge.errors import InputError, first_line
from edge.graph.model import Model
from edge.loading.doors.parts import first_file, framework, no_task, table, task_of
from edge.loading.module import export_loaded, require_torch
from edge.loading.weights import load_weights
from edge.task.task import SegmentationTask

_SUFFIX = "ForSemanticSegmentation"
_BY_QUERIES = {
    "Mask2FormerForUniversalSegmentation",
    "MaskFormerForInstanceSegmentation",
    "EomtForUniversalSegmentation",
}
"""Return classes and masks of queries, which the door combines (:mod:`edge.loading.normalize.mask_queries`)."""
_KERNELS = {0: "nearest", 2: "bilinear", 3: "bicubic", 4: "area"}
_WHAT = "Hugging Face folder"


def load(named: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """See :mod:`edge.loading.doors`.

    Raises:
        InputError: no such folder, another kind of model, weights that are not safetensors.
        MachineError: transformers is not installed.
    """
    require_torch("hf")
    folder = Path(named)
    if not folder.exists():
        raise InputError(
            f"hf:{named}: no such folder, and nothing is downloaded here; save_pretrained(FOLDER) writes one, and "
            f"huggingface-cli download NAME --local-dir FOLDER fetches one"
        )
    config = table(folder / "config.json", _WHAT)
    architecture = str((config.get("architectures") or ["nothing"])[0])
    if not architecture.endswith(_SUFFIX) and architecture not in _BY_QUERIES:
        others = ", ".join(sorted(_BY_QUERIES))
        raise InputError(
            f"{folder}: holds {architecture}, which returns no map of classes; give a network {_SUFFIX} or {others}"
        )
    library = framework("transformers", "hf")
    if not hasattr(library, architecture):
        raise InputError(
            f"{folder}: this transformers has no {architecture}, and code in folders is not run; upgrade it"
        )
    file = weights or first_file(folder, ("model.safetensors",), "weights in one file")
    network = _network(library, architecture, folder)
    task, name, source = task or _task(folder, network.config), folder.name, f"hf:{named}"
    if weights is not None:
        network.load_state_dict(load_weights(weights, network), strict=True)
    return export_loaded(only_queries(network) if architecture in _BY_QUERIES else network, file, task, name, source)


def only_queries(network: Any) -> Any:
    """A network with nothing among its outputs but the classes and masks of its queries.

    Args:
        network: of transformers, one of :data:`_BY_QUERIES`.

    Raises:
        InputError: it draws random numbers.
    """
    from torch import nn

    _settle_masks(network)

    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> dict[str, Any]:
            found = self.network(pixel_values=image)
            return {name: found[name] for name in ("class_queries_logits", "masks_queries_logits")}

    return Queries()


def _settle_masks(network: Any) -> None:
    """Let EoMT decide by numbers whether its blocks mask: exporters follow no decision by a tensor's value.

    Training takes the shares of masked queries down from 1 to 0; in between, which queries it are is drawn.
    """
    shares = getattr(network, "attn_mask_probs", None)
    if shares is None:
        return
    values = [float(share) for share in shares]
    if any(0.0 < share < 1.0 for share in values):
        raise InputError(
            f"{type(network).__name__}: masks a random share of its queries in every run (attn_mask_probs {values}); "
            "save it at the end of its training, where they are 0"
        )
    del network.attn_mask_probs
    network.attn_mask_probs = values


def _network(library: Any, architecture: str, folder: Path) -> Any:
    """The folder's network with its safetensors in it: the library knows which names they have had.

    Raises:
        InputError: it does not build, or its weights are not all there.
    """
    try:
        network, told = getattr(library, architecture).from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the library raises errors of many kinds
        raise InputError(f"{folder}: transformers does not load it ({first_line(error)}); save it again") from None
    lacking = sorted(told.get("missing_keys", ()))
    if lacking:
        raise InputError(f"{folder}: its weights lack {len(lacking)} tensors (such as {lacking[0]}); save it again")
    return network


def _task(folder: Path, config: Any) -> SegmentationTask:
    found = table(folder / "preprocessor_config.json", f"{_WHAT} with its preprocessing")
    names = [str(name) for _, name in sorted(config.id2label.items(), key=lambda item: int(item[0]))]
    values: dict[str, Any] = {"size": _size(found, folder), "classes": names}
    if found.get("do_resize", True):
        values["resize"] = _kernel(int(found.get("resample", 2)), folder)
    if found.get("do_flip_channel_order"):
        values["channels"] = "bgr"
    factor = float(found.get("rescale_factor", 1 / 255)) if found.get("do_rescale", True) else 1.0
    scale = 1.0 / factor
    values["scale"] = float(round(scale)) if math.isclose(scale, round(scale), rel_tol=1e-6) else scale
    if found.get("do_normalize", "image_mean" in found):
        values["mean"], values["std"] = list(found["image_mean"]), list(found["image_std"])
    if found.get("do_reduce_labels", found.get("reduce_labels")):  # masks hold 0 for nothing, then 1 for the first
        values["ignore"], values["mask_values"] = 0, {str(index + 1): index for index in range(len(names))}
    return task_of(values, folder / "preprocessor_config.json")


def _kernel(number: int, folder: Path) -> str:
    """Pillow's number of a resampling filter, as a task names it."""
    if number not in _KERNELS:
        known = ", ".join(f"{number} ({name})" for number, name in _KERNELS.items())
        raise no_task(f"hf:{folder}", f"its preprocessing resizes by Pillow's filter {number}, a task by {known}")
    return _KERNELS[number]


def _size(found: dict[str, Any], folder: Path) -> list[int]:
    size = found.get("crop_size") if found.get("do_center_crop") else found.get("size")
    if isinstance(size, int):
        return [size, size]
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return [int(size["height"]), int(size["width"])]
    if isinstance(size, dict) and "shortest_edge" in size:
        return [int(size["shortest_edge"])] * 2
    raise no_task(f"hf:{folder}", "its preprocessing names no size")
