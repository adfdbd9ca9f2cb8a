"""Learn the ranges of a graph's activations."""

from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    CountOption,
    DataOption,
    DequantizeOption,
    ModelArgument,
    Option,
    PathLike,
    TaskOption,
    WeightsOption,
)
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.quantization.ranges import Ranges


@checked
def calibrate(
    model: ModelArgument,
    data: DataOption,
    out: Annotated[PathLike | None, Option("what calibration learned", "ranges.json", required=True)] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
    calibration_images: CountOption = 64,
    progress: Listener | None = None,
) -> "Ranges":
    """Ranges of a graph's activations from real training images; one calibration serves every compiler.

    Example: edge calibrate runs/fused.onnx --data calibration/dsb2018 --out runs/ranges.json

    Args:
        model, data, weights, task, dequantize, calibration_images, progress: as for :func:`edge.deploy`; images are of
            the train split.
        out: file for the ranges; None writes none.

    Raises:
        InputError: an argument or a file is at fault.
    """
    from edge.api.given import as_data, as_optional_path, as_source
    from edge.pipeline.stages import calibrate_to_file

    source, path = as_source(model, weights, task, dequantize), as_optional_path("out", out)
    return calibrate_to_file(source, as_data(data), calibration_images, path, Reporter(progress))
