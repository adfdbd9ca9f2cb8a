"""Estimate a model's latency from a device's peaks."""

from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    DequantizeOption,
    ModelArgument,
    Option,
    TargetOption,
    TaskOption,
    WeightsOption,
    precision_names,
)
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.latency.estimate import Estimate


@checked
def estimate(
    model: ModelArgument,
    target: TargetOption,
    precision: Annotated[str, Option("fp32, fp16, bf16 or int8", "P", values=precision_names)] = "int8",
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
    progress: Listener | None = None,
) -> "Estimate":
    """A floor from the device's table, layer by layer: an estimate, labelled so, never a measurement.

    Example: edge estimate models/unet --target jetson-orin-nano-8gb --precision int8

    Args:
        model, weights, task, dequantize: as for :func:`edge.deploy`.
        target: name of a device.
        precision: of the engine.
        progress: called with every event.

    Raises:
        InputError: an argument or a file is at fault, or nothing is known of the device's peaks.
    """
    from edge.api.given import as_source
    from edge.pipeline.stages import estimate_model

    return estimate_model(as_source(model, weights, task, dequantize), target, precision, Reporter(progress))
