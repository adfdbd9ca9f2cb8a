"""``smp:NAME``: segmentation_models_pytorch, as ``Unet/resnet34`` with weights and a task, or a folder it saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.errors import InputError, first_line
from edge.graph.model import Model
from edge.loading.doors.parts import first_file, framework, no_task, table
from edge.loading.module import load_module, require_torch
from edge.task.task import SegmentationTask

_PACKAGE = "segmentation_models_pytorch"


def load(named: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """See :mod:`edge.loading.doors`.

    Raises:
        InputError: no task or weights, or no such architecture or encoder.
        MachineError: the library is not installed.
    """
    require_torch("smp")
    library = framework(_PACKAGE, "smp")
    spec, folder = f"smp:{named}", Path(named)
    if task is None:
        raise no_task(spec, "says nothing about its task")
    if folder.is_dir():
        options = table(folder / "config.json", f"folder saved by {_PACKAGE}")
        architecture = str(options.pop("_model_class", ""))
        file = weights or first_file(folder, ("model.safetensors",), "weights")
    else:
        architecture, _, encoder = named.partition("/")
        if weights is None:
            raise InputError(f"{spec}: comes without weights; add --weights FILE")
        options = {"encoder_name": encoder or "resnet34", "in_channels": task.in_channels, "classes": task.maps}
        file = weights
    network = _built(library, architecture, {**options, "encoder_weights": None}, spec)  # None: nothing is downloaded
    return load_module(network, file, task, named.replace("/", "-"), spec)


def _built(library: Any, architecture: str, options: dict[str, Any], spec: str) -> Any:
    known = {cls.__name__: cls for cls in getattr(library, "MODEL_ARCHITECTURES_MAPPING", {}).values()}
    if architecture not in known:
        raise InputError(f"{spec}: no architecture {architecture!r}; known are {', '.join(sorted(known))}")
    try:
        return known[architecture](**options)
    except Exception as error:  # an unknown encoder raises KeyError, wrong options TypeError and more
        raise InputError(f"{spec}: is not built ({first_line(error)}); correct the encoder or the options") from None
