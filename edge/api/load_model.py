"""Load a model as every function takes it."""

from typing import TYPE_CHECKING

from edge.api.options import ModelLike, PathLike, TaskLike

if TYPE_CHECKING:
    from edge.graph.model import Model


def load_model(
    model: ModelLike, weights: PathLike | None = None, task: TaskLike | None = None, dequantize: bool = False
) -> "Model":
    """Load a model once, to hand it to several functions.

    Args:
        model: model folder, ``file.onnx``, ``package.module:callable``, ``nn.Module`` or ``onnx.ModelProto``.
        weights: overrides a folder's checkpoint; required for a callable.
        task: overrides the model's own; required for a callable, a module, and a graph that carries none.
        dequantize: strip the Q/DQ nodes of a quantized model back to float.

    Returns:
        The graph at batch 1 and the task's size, float32 in and out.

    Raises:
        InputError: nothing there, wrong weights, or a task that contradicts the graph.
        MachineError: PyTorch is needed and not installed.
    """
    from edge.api.given import as_optional_path, as_task
    from edge.loading import load_model as load

    return load(model, as_optional_path("weights", weights), as_task(task), dequantize=dequantize)
