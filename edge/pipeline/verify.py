"""``edge verify``: what ``python3 -m edge_bundle verify`` does, from an installed SegEdge and with its HTML report.

The bundle's own Python is never run: the code is this installation's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.boards.address import Address
from edge.bundle.archive import is_archive, peek, unpack
from edge.device.manifest import read_manifest
from edge.device.preflight import require_target
from edge.device.proof import Options
from edge.device.verify import look
from edge.device.verify import verify as verify_on_device
from edge.errors import EdgeError, InputError, MachineError
from edge.report.results import Report
from edge.report.store import read_report
from edge.report.write import write_report

Say = Callable[[str], None]


def verify(
    bundle: Path,
    out: Path | None = None,
    *,
    seconds: float = 10.0,
    min_runs: int = 100,
    images: Path | None = None,
    allow_small: bool = False,
    runtime: Path | None = None,
    on: Address | None = None,
    signed: str | None = None,
    say: Say = lambda _: None,
) -> tuple[Report, Path]:
    """Preflight, build, check, profile and choose on this machine.

    Engines and progress are kept in ``.NAME.work`` beside the run folder, or in the unpacked bundle's own ``work``
    where the run folder is its ``run``, so that an interrupted run goes on.

    Args:
        bundle: archive, or the folder it was unpacked into.
        out: run folder; None takes ``runs/NAME-verified``.
        seconds, min_runs: timing of each engine.
        images: folder with images of this device, for a bundle without any.
        allow_small: judge on fewer than 20 images.
        runtime: a ``segedge-run`` built on this machine, to prove every engine through it as well.
        on: a board to do it on over SSH; None is this machine.
        signed: SHA-256 of the manifest whose signature was checked; None where none was.
        say: told of every step.

    Returns:
        The report and the run folder.

    Raises:
        InputError: the bundle is damaged, hostile or of a newer schema (nothing was deserialized).
        MachineError: this machine is not the target, or lacks something.
    """
    name = bundle.resolve().name.removesuffix(".tar.gz")
    out = (out or Path("runs") / f"{name}-verified").absolute()
    # By the link's own place where ``run`` is a link.
    inside = not is_archive(bundle) and bundle.resolve() in (out.parent.resolve() / out.name).parents
    work = bundle / "work" if inside else out.with_name(f".{out.name}.work")
    if on is not None and (images is not None or runtime is not None):
        option = "--images" if images is not None else "--runtime"
        raise InputError(f"{option}: names what lies on this machine and does not go with --on {on}; leave it out")
    options = Options(seconds, min_runs, images, allow_small, runtime)
    with device_faults(bundle), _unpacked(bundle, work) as folder:
        if signed is not None and read_manifest(folder).sha256 != signed:
            raise InputError("was changed while its signature was checked; do not use it")
        if on is not None:
            from edge.pipeline.on_board import verify_on_board

            verify_on_board(on, folder, out, seconds, min_runs, allow_small, say)
        else:
            require_target(*look(folder))
            verify_on_device(folder, work, out, options, say)
    report = read_report(out)
    write_report(report, out)
    return report, out


def describe(bundle: Path) -> str:
    """Title of a bundle, packed or unpacked.

    Raises:
        InputError: not a bundle, or a damaged one.
    """
    if is_archive(bundle):
        return peek(bundle).title
    with device_faults(bundle):
        return read_manifest(bundle).title


@contextmanager
def device_faults(where: Path) -> Iterator[None]:
    """The device's faults as SegEdge's errors, with the same exit codes."""
    try:
        yield
    except MachineError as fault:
        raise MachineError(str(fault)) from None
    except EdgeError as fault:
        raise InputError(str(fault) if str(fault).startswith(f"{where}: ") else f"{where}: {fault}") from None


@contextmanager
def _unpacked(bundle: Path, work: Path) -> Iterator[Path]:
    """The folder itself, or a copy of the archive's contents that does not outlive the call (it may show patients)."""
    if not is_archive(bundle):
        yield bundle
        return
    folder = work / "bundle"
    try:
        unpack(bundle, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()
