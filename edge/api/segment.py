"""Segment image files with an engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from edge.api.checked import checked
from edge.api.options import Argument, EngineArgument, Option, PathLike, ThreadsOption, TrustedOption
from edge.api.progress import Listener, Reporter
from edge.errors import InputError


@checked
def segment(
    engine: EngineArgument,
    images: Annotated[
        PathLike | Sequence[PathLike],
        Argument("IMAGE...", "pictures, NIfTI volumes, folders of DICOM series, any size"),
    ],
    out: Annotated[PathLike, Option("folder for the masks", "DIR")],
    axis: Annotated[str | None, Option("planes of volumes: axial, coronal or sagittal", "AXIS")] = None,
    one_file: Annotated[bool, Option("overlapping classes as the bits of one file")] = False,
    threads: ThreadsOption = None,
    trusted_key: TrustedOption = (),
    progress: Listener | None = None,
) -> list[Path]:
    """Masks on the image's own grid, under its stem: PNG of a picture, NIfTI of NIfTI, DICOM-SEG of a DICOM series.

    A picture's mask holds 0 and 255, or class indices where there are more classes; a volume's holds class indices.
    Overlapping classes have a file each.

    Example: edge segment runs/unet/engines/int8 image.png --out masks

    Args:
        engine: engine or run, a folder or in memory.
        images: files, or folders of DICOM series; files whose channels belong together are one, with ``;`` between. For
            arrays see :meth:`edge.api.engine.LoadedEngine.segment`.
        out: folder for the masks.
        axis: which way volumes are cut; None: axial, or along the axis where the slices lie far apart.
        one_file: overlapping classes as the bits of one file's values instead of one file each.
        threads: CPU threads.
        trusted_key: public keys; with one here or in ``~/.config/segedge/trusted_keys`` no other engine is taken.
        progress: called with every event.

    Returns:
        The masks, in the order of the images.

    Raises:
        InputError: an image that does not decode, two of one stem, a mask that would replace an image, or an engine
            that no trusted key has signed.
        MachineError: this machine cannot run the engine, or a mask cannot be written.
    """
    if hasattr(images, "shape"):
        raise InputError("images: is an array; give files here, or the array to edge.load_engine(engine).segment")
    from edge.api.given import as_path, as_paths, trusted_engine
    from edge.pipeline.segment import Form, segment_with_engine

    form, reporter = Form(axis, one_file), Reporter(progress)
    folder, vouched = trusted_engine("engine", engine, trusted_key)
    masks = segment_with_engine(folder, as_paths("images", images), as_path("out", out), threads, reporter, form)
    reporter.say(vouched)
    return masks
