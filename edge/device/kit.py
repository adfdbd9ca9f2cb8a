"""A bundle that came to a board file by file over a line: put together, verified, its run offered for reading."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Mapping

from ..errors import InputError
from ..files import sha256_file
from .manifest import DIGEST, MANIFEST, require_safe_name
from .proof import Options
from .verify import verify

BUNDLE, RUN, WORK = "bundle", "verified", "work"


def verify_kit(folder: Path, files: Mapping[str, Path], options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Verify a bundle on this board.

    Args:
        folder: of the deployment.
        files: path in the bundle to where its contents lie.
        options: see :class:`.proof.Options`.
        say: told of every step.

    Returns:
        Each file of the run: path to (bytes, SHA-256).

    Raises:
        InputError, MachineError: see :func:`.verify.verify`.
    """
    bundle, run = folder / BUNDLE, folder / RUN
    shutil.rmtree(str(bundle), ignore_errors=True)
    for name, path in files.items():
        if name not in (MANIFEST, DIGEST):
            require_safe_name(name)
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(path), str(bundle / name))
    verify(bundle, folder / WORK, run, options, say)
    found = sorted(path for path in run.rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): (path.stat().st_size, sha256_file(path)) for path in found}


def read_result(folder: Path, name: str) -> bytes:
    """One file of the run.

    Raises:
        InputError: it has no such file.
    """
    run = folder / RUN
    known = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    if name not in known:
        raise InputError(f"the run has no file {name!r:.80}")
    return known[name].read_bytes()
