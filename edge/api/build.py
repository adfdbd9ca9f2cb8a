"""Build one engine, without a verdict."""

from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    BackendOption,
    CountOption,
    DataOption,
    DequantizeOption,
    JetpackOption,
    ModelArgument,
    Option,
    OverlapOption,
    PathLike,
    TargetOption,
    TaskOption,
    WeightsOption,
    precision_names,
)
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.backends.engine import Engine

STAGES = ("images", "load", "fuse", "calibrate", "build")
"""Stages of building one engine, in order; ``search`` comes for a mixed one."""


@checked
def build(
    model: ModelArgument,
    data: DataOption,
    target: TargetOption,
    precision: Annotated[
        str,
        Option("fp32, bf16, fp16, int8 or mixed; int8+fp16 says what the rest runs in", "P", values=precision_names),
    ],
    out: Annotated[PathLike | None, Option("engine folder", "DIR")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
    jetpack: JetpackOption = None,
    calibration_images: CountOption = 64,
    allow_overlap: OverlapOption = False,
    backend: BackendOption = None,
    budget: Annotated[float | None, Option("seconds of the search for mixed", "SECONDS", least=0)] = None,
    progress: Listener | None = None,
) -> "Engine":
    """One engine, no verdict.

    Example: edge build models/unet --data calibration/dsb2018 --target cpu --precision int8 --out runs/unet-int8

    Args:
        model, data, target, weights, task, dequantize, jetpack, calibration_images, allow_overlap, backend,
            progress: as for :func:`edge.deploy`.
        precision: of the engine. ``int8+fp32``, ``int8+fp16``, ``int8+bf16`` and ``mixed+...`` also say what runs that
            stays float; without it that is what the compiler's users usually take.
        out: engine folder; ``runs/NAME-TARGET-PRECISION`` where none is given.
        budget: seconds that ``mixed`` takes to search, fusion included; None for what a deployment takes.

    Returns:
        What was built; :func:`edge.load_engine` makes it ready to run.

    Raises:
        InputError: an argument or a file is at fault, or the graph has nothing that could run so.
        MachineError: the precision would not really run here, or this machine lacks something.
    """
    given = dict(locals())
    from edge.api.command import command_line
    from edge.api.given import as_data, as_optional_path, as_task
    from edge.pipeline.build import build_single, parse_precision
    from edge.pipeline.session import Request

    request = Request(
        model=model,
        weights=as_optional_path("weights", weights),
        task=as_task(task),
        dequantize=dequantize,
        data=as_data(data),
        target=target,
        jetpack=jetpack,
        precisions=parse_precision(precision),
        gate="none",
        budget_seconds=budget,
        out=as_optional_path("out", out),
        calibration_images=calibration_images,
        allow_small=True,
        allow_overlap=allow_overlap,
        backend=backend,
        command=command_line(build, given),
    )
    return build_single(request, Reporter(progress, STAGES))
