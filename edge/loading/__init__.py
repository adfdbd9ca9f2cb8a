"""Loading: whatever the user names becomes a :class:`~edge.graph.model.Model`.

==========================  ==================================================  ==========
MODEL                       what it is                                          runs code
==========================  ==================================================  ==========
``models/litenext``         model folder: ``network.py``, ``model.toml``        yes
``models/litenext@name``    the same with another checkpoint                    yes
``package.module:callable`` a callable that returns an ``nn.Module``            yes
``nnunet:`` ``monai:`` ...  folders of other frameworks, :mod:`edge.loading.doors`  no
``file.onnx``               an ONNX file, its task in metadata or ``--task``    no
an object                   ``nn.Module``, ``onnx.ModelProto``, ``Model``       no
==========================  ==================================================  ==========
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Union

from edge.errors import InputError
from edge.graph.model import Model
from edge.loading.doors import find_door
from edge.machine.heap import uncollected
from edge.task.load import load_task
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    import onnx
    from torch import nn

ModelSource = Union[str, Path, Model, "nn.Module", "onnx.ModelProto"]
TaskSource = Path | SegmentationTask

_CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".tar")


def load_model(
    source: ModelSource,
    weights: Path | None = None,
    task: TaskSource | None = None,
    default: SegmentationTask | None = None,
    dequantize: bool = False,
) -> Model:
    """Load a model, by name or as an object.

    Args:
        source: see the table above.
        weights: overrides a folder's checkpoint; required for a callable.
        task: ``task.toml`` or a task; overrides a folder's or file's own task; required for a callable and a
            module.
        default: task of an ONNX file that names none.
        dequantize: strip the Q/DQ nodes of a quantized model; without it a note says that it is quantized.

    Returns:
        The exported graph, batch 1, at the task's size.

    Raises:
        InputError: nothing there, wrong weights, a task that contradicts the graph, nothing to dequantize.
        MachineError: PyTorch is needed and not installed.
    """
    from edge.loading.quantized import announced, dequantized

    with uncollected():
        model = _load(source, weights, task, default)
    return dequantized(model) if dequantize else announced(model)


def _load(
    source: ModelSource, weights: Path | None, task: TaskSource | None, default: SegmentationTask | None
) -> Model:
    given_task = load_task(task) if isinstance(task, Path) else task
    if not isinstance(source, str | Path):
        if weights:
            raise InputError("weights: a model in memory carries its own; leave weights out")
        from edge.loading.objects import load_object

        return load_object(source, given_task, default)
    spec, path = str(source), Path(source)
    if (found := find_door(spec)) is not None:
        door, named = found
        return door(named, weights, given_task)
    if path.suffix in _CHECKPOINTS and path.is_file():
        raise InputError(
            f"{spec}: is a checkpoint, weights without their network; give the callable that builds the network, "
            f"package.module:callable, with --weights {spec} and --task task.toml (or export the network to ONNX)"
        )
    if path.suffix == ".onnx" or (path.is_file() and path.suffix != ".py"):
        if weights:
            raise InputError(f"{spec}: an ONNX file carries its own weights; leave --weights out")
        from edge.loading.onnx_file import load_onnx

        return load_onnx(path, given_task, default)
    folder, _, checkpoint = spec.rpartition("@") if "@" in path.name else (spec, "", "")
    if Path(folder).is_dir():
        from edge.loading.folder import load_folder

        return load_folder(Path(folder), checkpoint or None, weights, given_task)
    if ":" in spec:
        from edge.loading.callable import load_callable

        return load_callable(spec, weights, given_task)
    raise InputError(f"{spec}: no such model; give a model folder, a file.onnx, or package.module:callable")
