"""Preflight: is this the machine the bundle was made for, and does it have what the work needs?

Everything is read from the machine's own files and one import of the compiler; a mismatch is one sentence with a next
step, before anything is built.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from ..errors import MachineError
from ..machine.jetson import tensorrt_of
from ..machine.machine import Machine
from .manifest import PACKAGE, Manifest

_LEAST_FREE = 700 << 20
_MEMORY_PER_BYTE = 6  # a builder holds the graph, its weights in two precisions, and tactics
_DISK_PER_BYTE = 4  # plan, timing cache, and both again while they are replaced
_DISK_SPARE = 200 << 20
_GENERATIONS = ("8.5", "8.6", "10", "11")


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        lines: facts for the user, ``(what, value)``.
        warnings: what makes the figures doubtful, one sentence each.
        workspace: bytes the builder may use.
    """

    lines: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    workspace: int


def require_target(manifest: Manifest, machine: Machine) -> None:
    """Refuse a machine that is not the target, without importing anything.

    Raises:
        MachineError: one sentence: what this is, what the bundle is for, what to do.
    """
    wanted = manifest.runs_on
    title = manifest.target.get("title", manifest.target.get("name"))
    if wanted["kind"] == "cpu":  # its title says "this machine", which was the workstation
        title = f"the CPU of an {wanted['architecture']} machine"
    if machine.architecture != wanted["architecture"]:
        raise MachineError(
            f"this machine is {machine.architecture} ({machine.model}), the bundle is for {title}; "
            f"unpack it there and run python3 -m {PACKAGE} verify"
        )
    if wanted["kind"] != "jetson":
        return
    if machine.module is None:
        raise MachineError(f"this board ({machine.model}) is no Jetson that SegEdge knows; the bundle is for {title}")
    if machine.module.target != wanted["module"]:
        raise MachineError(
            f"this is a {machine.module.title}, the bundle is for {title}; "
            f"make one with edge bundle --target {machine.module.target}"
        )
    _require_jetpack(wanted, machine)


def preflight(manifest: Manifest, machine: Machine, toolkit: Mapping[str, Any], folder: Path) -> Preflight:
    """Check everything else, and say what was found.

    Args:
        manifest: of the bundle.
        machine: from :func:`.machine.read_machine`.
        toolkit: versions of the compiler and the GPU, see :class:`edge.backends.compiler.Identity`.
        folder: where results go.

    Raises:
        MachineError: not the target, or too little of something.
    """
    require_target(manifest, machine)
    warnings = _version_warnings(manifest, toolkit)
    largest = max(manifest.files[c.graph][0] for c in manifest.candidates)
    needed = _LEAST_FREE + _MEMORY_PER_BYTE * largest
    if machine.free_bytes and machine.free_bytes < needed:
        raise MachineError(
            f"{machine.free_bytes / 1e9:.1f} GB of memory free, {needed / 1e9:.1f} GB needed to build; close other "
            "programs (sudo systemctl isolate multi-user.target frees the desktop's share)"
        )
    disk = _DISK_SPARE + _DISK_PER_BYTE * sum(manifest.files[c.graph][0] for c in manifest.candidates)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(str(folder)).free
    if free < disk:
        raise MachineError(
            f"{folder}: {free / 1e6:.0f} MB free, {disk / 1e6:.0f} MB needed; free the disk or set --out"
        )
    warnings += _clock_warnings(manifest, machine)
    return Preflight(tuple(_lines(machine, toolkit, free)), tuple(warnings), machine.scratch_bytes)


def _require_jetpack(wanted: Mapping[str, Any], machine: Machine) -> None:
    expected = wanted.get("tensorrt")
    shipped = machine.tensorrt or (tensorrt_of(machine.l4t) if machine.l4t else None)
    if machine.l4t is None:
        raise MachineError("this Jetson names no Jetson Linux release (/etc/nv_tegra_release); install JetPack")
    if expected and shipped and generation(shipped) != generation(expected):
        here = f"JetPack {machine.jetpack}" if machine.jetpack else f"Jetson Linux {machine.l4t}"
        advice = f"make one with --jetpack {machine.jetpack}" if machine.jetpack else "make one for it"
        raise MachineError(
            f"this board runs {here} with TensorRT {_short(shipped)}, the bundle was made for JetPack "
            f"{wanted.get('jetpack')} with TensorRT {expected}; {advice}"
        )


def generation(version: str) -> str:
    """Versions of one generation take the same graphs: 8.5, 8.6, 10 and 11."""
    padded = version + "."
    return next((g for g in _GENERATIONS if padded.startswith(g + ".")), _short(version))


def _version_warnings(manifest: Manifest, toolkit: Mapping[str, Any]) -> list[str]:
    expected = str(manifest.runs_on.get(manifest.backend) or "")
    found, name = str(toolkit.get("version", "")), str(toolkit.get("title", manifest.backend))
    if not expected or not found or _short(expected) == _short(found):
        return []
    if manifest.runs_on["kind"] == "jetson" and generation(expected) != generation(found):
        raise MachineError(
            f"{name} here is {_short(found)}, the graphs were made for {_short(expected)}; "
            "use the Python module that came with JetPack, or make a bundle with the right --jetpack"
        )
    return [
        f"{name} here is {_short(found)}, the graphs were made for {_short(expected)}; they are checked all the same"
    ]


def _clock_warnings(manifest: Manifest, machine: Machine) -> list[str]:
    warnings = []
    if manifest.runs_on["kind"] == "jetson":
        if not machine.clocks_fixed:
            warnings.append(
                "clocks are free to change: run sudo jetson_clocks first for latencies that can be compared"
            )
        if machine.power_mode and not machine.power_mode.startswith("MAXN"):
            fastest = [number for number, name in machine.power_modes if name.startswith("MAXN")]
            others = f"sudo nvpmodel -m {fastest[0]} is the fastest" if fastest else "sudo nvpmodel -q shows it"
            warnings.append(f"power mode {machine.power_mode}: latencies hold for this mode only ({others})")
    return warnings


def _lines(machine: Machine, toolkit: Mapping[str, Any], free_disk: int) -> list[tuple[str, str]]:
    hottest = max(machine.temperatures, key=lambda zone: zone[1], default=None)
    rows = [
        ("device", machine.module.title if machine.module else machine.model),
        ("jetpack", f"{machine.jetpack or 'unknown'} (Jetson Linux {machine.l4t})" if machine.l4t else ""),
        ("python", sys.version.split()[0]),
        ("compiler", f"{toolkit.get('title', '')} {toolkit.get('version', '')}".strip()),
        ("gpu", str(toolkit.get("gpu") or "") if toolkit.get("gpu") != machine.model else ""),
        ("dla", str(machine.dla) if machine.module else ""),
        ("memory", f"{machine.free_bytes / 1e9:.1f} of {machine.memory_bytes / 1e9:.1f} GB free"),
        ("disk", f"{free_disk / 1e9:.1f} GB free"),
        ("power mode", machine.power_mode or ""),
        ("clocks", ("fixed" if machine.clocks_fixed else "free") if machine.cpu_clocks else ""),
        ("hottest", f"{hottest[0]} {hottest[1]:.0f} °C" if hottest else ""),
    ]
    return [(name, value) for name, value in rows if value]


def _short(version: str) -> str:
    return ".".join(version.split("-")[0].split("+")[0].split(".")[:2])
