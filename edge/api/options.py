"""Parameters that several public functions take, each declared once: its type, and how the command line shows it.

Annotations here are real objects, not strings: :mod:`edge.cli.command` reads them, without importing what the types
name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from edge.api.engine import LoadedEngine
    from edge.api.run import Run
    from edge.backends.engine import Engine
    from edge.graph.model import Model
    from edge.images.image_set import ImageSet
    from edge.quantization.ranges import Ranges
    from edge.task.task import SegmentationTask

PathLike = str | Path
ModelLike = Union[str, Path, "Model", "nn.Module", "onnx.ModelProto"]
"""A model folder, ``file.onnx``, ``package.module:callable``, or a model in memory."""
DataLike = Union[str, Path, "ImageSet", Iterable[Sequence[Any]]]
"""A folder, a set, or ``(image, mask[, split[, name]])`` tuples; see :func:`edge.images.arrays.array_set`."""
TaskLike = Union[str, Path, Mapping[str, Any], "SegmentationTask"]
"""A ``task.toml``, its table, or a task."""
RangesLike = Union[str, Path, "Ranges"]
"""A file from ``edge calibrate``, or what it returns."""
RunLike = Union[str, Path, "Run"]
"""A run folder, or a run in memory."""
EngineLike = Union[str, Path, "Engine", "LoadedEngine", "Run"]
"""An engine folder, a run folder (its chosen engine), or either in memory."""


@dataclass(frozen=True)
class Option:
    """How a keyword is shown on the command line, as ``--its-name``; a bool that is true by default as ``--no-NAME``.

    Attributes:
        help: one phrase.
        metavar: what stands for the value.
        least: the smallest number allowed.
        required: asked for on the command line, where there is nowhere else to put the result.
        repeats: a sequence is given by repeating the option; otherwise with commas.
        values: what a shell completes it with.
    """

    help: str
    metavar: str | None = None
    least: float | None = None
    required: bool = False
    repeats: bool = False
    values: Callable[[], Iterable[str]] | None = None


@dataclass(frozen=True)
class Argument:
    """How a parameter is shown that the command line takes by position.

    Attributes:
        metavar, help: as for :class:`Option`.
    """

    metavar: str
    help: str


def _names(module: str, attribute: str) -> Callable[[], Iterable[str]]:
    """Names for completion: what a module holds or a function of it returns; imported only when asked."""

    def names() -> Iterable[str]:
        found = getattr(import_module(module), attribute)
        return found() if callable(found) else found

    return names


target_names = _names("edge.targets.target", "targets")
gate_names = _names("edge.accuracy.gate", "presets")
precision_names = _names("edge.backends.engine", "PRECISIONS")
effort_names = _names("edge.pipeline.effort", "EFFORTS")
scheme_names = _names("edge.quantization.schemes", "SCHEMES")

ModelArgument = Annotated[ModelLike, Argument("MODEL", "model folder, file.onnx or package.module:callable")]
EngineArgument = Annotated[EngineLike, Argument("ENGINE", "engine folder, or a run: its chosen engine")]
DataOption = Annotated[DataLike, Option("folder with manifest.csv, or images/ and masks/", "SET")]
WeightsOption = Annotated[PathLike | None, Option("checkpoint to load", "FILE")]
TaskOption = Annotated[TaskLike | None, Option("pre- and post-processing", "task.toml")]
DequantizeOption = Annotated[bool, Option("strip a quantized ONNX model back to float first")]
TargetOption = Annotated[str, Option("device, see edge targets", "T", values=target_names)]
BackendOption = Annotated[
    str | None, Option("another compiler for an NVIDIA GPU: tensorrt, tensorrt-rtx or torch-tensorrt", "NAME")
]
JetpackOption = Annotated[str | None, Option("JetPack release on the device", "V")]
OnOption = Annotated[str | None, Option("do it on this board, over SSH", "user@host")]
SchedulerOption = Annotated[
    str | None,
    Option("do it on the workers of this Dask scheduler, which see the same files; local: here", "tcp://HOST:8786"),
]
GateOption = Annotated[PathLike, Option("none, 99, 99.9, mlperf-3dunet or FILE.toml", "G", values=gate_names)]
CountOption = Annotated[int, Option("train images to calibrate with", "N")]
SmallOption = Annotated[bool, Option("judge on fewer than 20 images")]
OverlapOption = Annotated[bool, Option("take patients and volumes that are in two splits; the report says its cost")]
ThreadsOption = Annotated[int | None, Option("CPU threads (default: one a physical core)", "N", least=1)]
SecondsOption = Annotated[float, Option("seconds of timing for each engine", "SECONDS", least=0.001)]
TrustedOption = Annotated[Sequence[PathLike], Option("refuse what this key has not signed", "FILE.pub", repeats=True)]
StrataOption = Annotated[str | None, Option("manifest column to judge by", "COLUMN")]
GroupOption = Annotated[str | None, Option("manifest column to resample by (patient, slide, ...)", "COLUMN")]
