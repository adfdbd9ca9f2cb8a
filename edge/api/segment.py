"""Segment image files with an engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from edge.api.options import Argument, EngineArgument, Option, PathLike, ThreadsOption
from edge.api.progress import Listener, Reporter


def segment(
    engine: EngineArgument,
    images: Annotated[PathLike | Sequence[PathLike], Argument("IMAGE...", "PNG, JPEG, TIFF or BMP, any size")],
    out: Annotated[PathLike, Option("folder for the masks", "DIR")],
    threads: ThreadsOption = None,
    progress: Listener | None = None,
) -> list[Path]:
    """Masks as PNG, at the image's size, under its stem: 0 and 255, or class indices where there are more classes.

    Example: edge segment runs/unet/engines/int8 image.png --out masks

    Args:
        engine: engine or run, a folder or in memory.
        images: files; for arrays see :meth:`edge.api.engine.LoadedEngine.segment`.
        out: folder for the masks.
        threads: CPU threads.
        progress: called with every event.

    Returns:
        The masks, in the order of the images.

    Raises:
        InputError: an image that does not decode, two of one stem, or a mask that would replace an image.
        MachineError: this machine cannot run the engine, or a mask cannot be written.
    """
    from edge.api.given import as_path, as_paths, engine_folder
    from edge.pipeline.single import segment_with

    folder = engine_folder("engine", engine)
    return segment_with(folder, as_paths("images", images), as_path("out", out), threads, Reporter(progress))
