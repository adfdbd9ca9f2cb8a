"""Pack a run for a device."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from edge.api.checked import checked
from edge.api.options import Argument as _Argument
from edge.api.options import JetpackOption, Option, PathLike, TargetOption
from edge.api.progress import Listener, Reporter
from edge.notebook.shown import Shown, Table

if TYPE_CHECKING:
    from edge.api.run import Run


@dataclass(frozen=True, repr=False)
class Bundle(Shown):
    """A packed archive.

    Attributes:
        path: the ``.tar.gz``.
        bytes: its size.
    """

    path: Path
    bytes: int

    def __repr__(self) -> str:
        return f"<Bundle {self.path}: {self.bytes / 1e6:.1f} MB>"

    def _table(self) -> Table:
        return ("archive", "bytes"), [(self.path, self.bytes)]


@checked
def bundle(
    run: Annotated[Union[str, Path, "Run"], _Argument("RUN", "run folder of edge deploy for this target")],
    target: TargetOption,
    out: Annotated[PathLike, Option("the archive", "FILE.tar.gz")],
    jetpack: JetpackOption = None,
    data: Annotated[PathLike | None, Option("default: the set that the run was made on", "SET")] = None,
    images: Annotated[bool, Option("pack no pictures; the device brings its own")] = True,
    allow_small: Annotated[bool, Option("pack fewer than 24 images")] = False,
    progress: Listener | None = None,
) -> Bundle:
    """Pack a run for a device, which builds, proves and times its own engine from it, offline.

    Example: edge bundle runs/unet --target cpu --out runs/unet.tar.gz --allow-small

    Args:
        run: run folder, or the run itself.
        target: the device that the run was made for.
        out: the archive to write.
        jetpack: release on the device; the one that the run was made for where none is given.
        data: folder of the images that the run was scored on.
        images: pack them, with masks and outputs; without them the device brings its own.
        allow_small: pack fewer than 24 images.
        progress: called with every event.

    Raises:
        InputError: the run is for another target, damaged, or its images are not to be found.
        MachineError: the disk is full.
    """
    from edge.api.given import as_optional_path, as_path
    from edge.api.run import Run
    from edge.bundle.pack import pack, warnings
    from edge.targets.target import find_target

    reporter = Reporter(progress, ("bundle",))
    reporter.stage("bundle")
    folder = run.folder if isinstance(run, Run) else as_path("run", run)
    path = pack(
        folder,
        find_target(target),
        jetpack,
        images,
        as_path("out", out),
        as_optional_path("data", data),
        allow_small,
    )
    for warning in warnings(images):
        reporter.say(f"warning: {warning}")
    return Bundle(path, path.stat().st_size)
