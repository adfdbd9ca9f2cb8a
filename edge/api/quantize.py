"""Write the Q/DQ graph for one compiler."""

from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    DequantizeOption,
    ModelArgument,
    Option,
    PathLike,
    RangesLike,
    TaskOption,
    WeightsOption,
    scheme_names,
)

if TYPE_CHECKING:
    from edge.quantization.plan import PrecisionPlan


@checked
def quantize(
    model: ModelArgument,
    ranges: Annotated[RangesLike, Option("from edge calibrate, of this very graph", "ranges.json")],
    out: Annotated[PathLike, Option("the graph with Q/DQ", "FILE.onnx")],
    scheme: Annotated[
        str,
        Option("openvino, openvino-avx2, openvino-identical or tensorrt", values=scheme_names),
    ] = "openvino",
    plan: Annotated[PathLike | None, Option("layers to leave float", "plan.json")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
) -> "PrecisionPlan":
    """Write the Q/DQ graph for one compiler.

    Example: edge quantize runs/fused.onnx --ranges runs/ranges.json --out runs/int8.onnx

    Args:
        model, weights, task, dequantize: as for :func:`edge.deploy`.
        ranges: what :func:`edge.calibrate` returned or wrote, of this very graph.
        out: file for the graph.
        scheme: whose rules to write by.
        plan: file that says which layers to leave float; by the scheme's rules where none is given.

    Returns:
        The plan that was used.

    Raises:
        InputError: an argument or a file is at fault, or ranges of another graph.
    """
    from edge.api.given import as_optional_path, as_path, as_source
    from edge.pipeline.stages import quantize_to_file
    from edge.quantization.ranges import Ranges

    return quantize_to_file(
        as_source(model, weights, task, dequantize),
        ranges if isinstance(ranges, Ranges) else as_path("ranges", ranges),
        scheme,
        as_optional_path("plan", plan),
        as_path("out", out),
    )
