"""Rewrite a model exactly."""

from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    DequantizeOption,
    ModelArgument,
    Option,
    PathLike,
    TargetOption,
    TaskOption,
    ThreadsOption,
    WeightsOption,
)
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.fusion import Fused


@checked
def fuse(
    model: ModelArgument,
    out: Annotated[PathLike | None, Option("the rewritten graph", "FILE.onnx", required=True)] = None,
    target: TargetOption = "cpu",
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
    threads: ThreadsOption = None,
    progress: Listener | None = None,
) -> "Fused":
    """Exact rewrites only, file to file; on this machine the fastest set is found by measuring.

    Example: edge fuse runs/unet/source.onnx --out runs/fused.onnx

    Args:
        model, weights, task, dequantize: as for :func:`edge.deploy`.
        out: file for the graph; None writes none.
        target: whose compiler the rewrites are chosen for.
        threads: CPU threads of the measurements.
        progress: called with every event.

    Returns:
        The rewritten model and what was done to it.

    Raises:
        InputError: an argument or a file is at fault.
    """
    from edge.api.given import as_optional_path, as_source
    from edge.pipeline.stages import fuse_to_file

    source = as_source(model, weights, task, dequantize)
    return fuse_to_file(source, target, as_optional_path("out", out), threads, Reporter(progress))
