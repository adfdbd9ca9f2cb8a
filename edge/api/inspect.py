"""Say what a file or folder is."""

from typing import Annotated, Any

from edge.api.checked import checked
from edge.api.options import Argument, RunLike


@checked
def inspect(
    file: Annotated[RunLike, Argument("FILE", "model, engine, run, bundle, ranges, plan or image set")],
) -> dict[str, Any]:
    """What a file or folder is.

    Example: edge inspect runs/unet/engines/int8

    Args:
        file: anything that a command reads or writes; a run in memory is its folder.

    Returns:
        ``kind``, and the facts that go with it.

    Raises:
        InputError: nothing there, damaged, or not one of ours.
    """
    from edge.api.given import as_path
    from edge.api.run import Run
    from edge.pipeline.inspect import describe

    return describe(file.folder if isinstance(file, Run) else as_path("file", file))
