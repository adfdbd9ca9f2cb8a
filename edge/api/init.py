"""Write a task to start from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import Argument, Option, PathLike

if TYPE_CHECKING:
    from edge.pipeline.starter import Starter


@checked
def init(
    model: Annotated[PathLike, Argument("MODEL", "file.onnx, model folder, or package.module:callable")],
    data: Annotated[PathLike | None, Option("image set to look at", "SET")] = None,
) -> "Starter":
    """A starter task from what the network and the images say; every guess is marked as one.

    Example: edge init models/unet --data calibration/dsb2018

    Args:
        model: the network; a callable is called.
        data: a few of its images and masks are opened, for channels, values and classes.

    Returns:
        The text of a ``task.toml``, the task it says, and the keys that are guesses.

    Raises:
        InputError: a model or an image set at fault.
    """
    from edge.images.image_set import load_image_set
    from edge.pipeline.init import starter_task

    return starter_task(str(model), load_image_set(Path(data)) if data is not None else None)
