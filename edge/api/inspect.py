"""Say what a file or folder is."""

from typing import Annotated, Any

from edge.api.options import Argument, PathLike


def inspect(
    file: Annotated[PathLike, Argument("FILE", "model, engine, run, bundle, ranges, plan or image set")],
) -> dict[str, Any]:
    """What a file or folder is.

    Example: edge inspect runs/unet/engines/int8

    Args:
        file: anything that a command reads or writes.

    Returns:
        ``kind``, and the facts that go with it.

    Raises:
        InputError: nothing there, damaged, or not one of ours.
    """
    from edge.api.given import as_path
    from edge.pipeline.inspect import describe

    return describe(as_path("file", file))
