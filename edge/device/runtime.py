"""The C++ runtime as a second witness: ``segedge-run verify`` on an engine that this Python has proved.

Both follow one specification, so on one engine both must find the same agreement with the reference. Where they do
not, the runtime that would serve patients is not the one that was proved, and the engine fails.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Mapping

from ..errors import EdgeError, InputError, MachineError
from .manifest import Manifest
from .pictures import EXPECTED

TOLERANCE = 1e-3
"""Of the mean Dice: a GPU may choose kernels anew; pixels, thresholds and sizes leave more than this."""

_LONGEST_S = 3600.0


def require_runtime(program: Path, manifest: Manifest, own_images: bool) -> None:
    """Refuse early what would fail after an hour of building.

    Raises:
        InputError: the bundle has nothing for the runtime to compare with.
        MachineError: no such program, or one without the bundle's backend.
    """
    if not (program.is_file() and os.access(str(program), os.X_OK)):
        raise MachineError(
            f"--runtime {program}: is no program; make it with cmake -B build && cmake --build build in the bundle"
        )
    if own_images:
        raise InputError("--runtime compares on the bundled images; leave out --images or --runtime")
    if EXPECTED not in manifest.files:
        raise InputError(f"--runtime: this bundle has no {EXPECTED}; make it again, with images")
    backends = _answer(program, "info")["backends"]
    if manifest.backend not in backends:
        raise MachineError(
            f"{program}: was built without {manifest.backend} (it has {', '.join(backends) or 'no backend'}); install "
            "it and build the runtime again"
        )


def runtime_agreement(program: Path, engine: Path, bundle: Path) -> float:
    """Mean Dice of the C++ runtime's masks against the reference's, on the bundled images.

    Args:
        program: ``segedge-run``.
        engine: engine folder.
        bundle: unpacked bundle.

    Raises:
        MachineError: the runtime cannot run here.
        InputError: it refuses the engine or the reference.
    """
    return float(_answer(program, "verify", engine, bundle, "--allow-unsigned")["agreement"])  # made here


def runtime_verdict(ours: float, theirs: float) -> tuple[dict[str, Any], str]:
    """A gate's check, and the sentence for when it failed.

    Args:
        ours, theirs: agreement with the reference's masks as Python and as the runtime find it.
    """
    check = {
        "criterion": "agreement in the C++ runtime",
        "value": theirs,
        "bar": ours - TOLERANCE,
        "passed": abs(theirs - ours) <= TOLERANCE,
    }
    return check, f"the C++ runtime's agreement is {theirs:.5f}, this Python's {ours:.5f}: build the runtime again"


_ANSWERS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "info": ("backends", (list,)),
    "verify": ("agreement", (int, float)),
}
"""The field that is read of each command's answer, and what it may be."""


def _answer(program: Path, command: str, *words: object) -> dict[str, Any]:
    """One JSON document from the program."""
    line = [str(program.resolve()), command, *map(str, words), "--json"]
    try:
        done = subprocess.run(line, capture_output=True, check=False, timeout=_LONGEST_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{program}: does not run here ({error}); build it again on this machine") from None
    if done.returncode not in (0, 1):
        raise _fault(program, done.returncode, done.stderr.decode("utf-8", "replace"))
    field, kinds = _ANSWERS[command]
    try:
        table = json.loads(done.stdout.decode("utf-8"))
        sound = isinstance(table[field], kinds)
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise MachineError(f"{program}: does not answer as segedge-run does; build it again from this bundle")
    return dict(table)


def _fault(program: Path, code: int, said: str) -> EdgeError:
    lines = [line for line in said.splitlines() if line.strip()]
    reason = lines[-1].replace("error: ", "", 1) if lines else f"it ended with code {code}"
    kind = InputError if code == 2 else MachineError
    return kind(f"{program}: {reason}")
