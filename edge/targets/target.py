"""Targets: the devices an engine can be built for, as data (``targets/*.toml``, ``targets/jetpack/releases.toml``)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_toml
from edge.notebook.shown import Shown, Table

UNKNOWN = "unknown"
CPU, GPU = "cpu", "gpu"
FACTS = (
    "sm", "memory_gb", "bandwidth_gbs", "int8", "int8_tops_dense", "fp16_tflops_dense", "power_modes", "dla_cores",
)  # fmt: skip
"""What is asked of every device that has a table of facts; what has no source is left out there, and unknown."""
_CPU_BACKENDS = ("openvino", "arm_cpu")
_COMPILERS: Mapping[str, tuple[str, ...]] = {"arm_cpu": ("openvino", "onnxruntime")}
_CPU_OF: Mapping[str, str] = {"aarch64": "cpu-arm64"}


@dataclass(frozen=True)
class Fact:
    """One fact about a device, with where it is from. ``value`` is ``"unknown"`` where there is no source."""

    value: Any
    source: str


@dataclass(frozen=True)
class JetPack:
    """One JetPack release that runs on a device, and what it ships.

    Attributes:
        version: newest release of those that ship the same.
        tensorrt, cuda, python: versions.
        source: where this is from.
        l4t: Jetson Linux releases, as ``/etc/nv_tegra_release`` gives them.
        also: older releases that ship the same.
    """

    version: str
    tensorrt: str
    cuda: str
    python: str
    source: str
    l4t: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Target(Shown):
    """A device and the compiler that serves it.

    Attributes:
        name: as given to ``--target``.
        title: for people.
        backend: name of the module in ``edge.backends`` that builds for it.
        precisions: what is tried by default, in order.
        safe_rewrites: fusion rewrites trusted without measuring (used where the device cannot be measured here).
        facts: sm, memory_gb, bandwidth_gbs, int8_tops_dense, fp16_tflops_dense, dla_cores, power_modes, ...
        jetpacks: the default first (newest whose TensorRT is in its image); empty for anything that is not a Jetson.
    """

    name: str
    title: str
    backend: str
    precisions: tuple[str, ...]
    safe_rewrites: tuple[str, ...]
    facts: Mapping[str, Fact]
    jetpacks: tuple[JetPack, ...]

    def __repr__(self) -> str:
        return f"<Target {self.name}: {self.title}, {self.backend}>"

    def _table(self) -> Table:
        return ("fact", "value", "source"), [(name, fact.value, fact.source) for name, fact in self.facts.items()]

    @property
    def kind(self) -> str:
        """``jetson``, ``cpu`` or ``gpu``."""
        return "jetson" if self.jetpacks else "cpu" if self.backend in _CPU_BACKENDS else "gpu"

    @property
    def compilers(self) -> tuple[str, ...]:
        """Names of the compilers behind its backend; it cannot do without the first."""
        return _COMPILERS.get(self.backend, (self.backend,))

    @property
    def own(self) -> bool:
        """Whether the name means what this machine has (``cpu``, ``gpu``) and no device in particular."""
        return self.name in (CPU, GPU)

    def fact(self, name: str) -> Any:
        """The value of a fact, ``"unknown"`` where the table has none."""
        return self.facts[name].value if name in self.facts else UNKNOWN

    def find_jetpack(self, version: str | None = None) -> JetPack:
        """One of the device's JetPack releases, the default where none is named.

        Raises:
            InputError: the device does not run it; the message lists those it does.
        """
        if version is None and self.jetpacks:
            return self.jetpacks[0]
        for jetpack in self.jetpacks:
            if version in (jetpack.version, *jetpack.also):
                return jetpack
        known = ", ".join(name for j in self.jetpacks for name in (j.version, *j.also))
        runs = f"it runs {known}" if known else "it is not a Jetson"
        raise InputError(f"--jetpack {version}: {self.name} does not run it; {runs}")

    def to_json(self) -> dict[str, Any]:
        """What a report records about the target."""
        return {
            "name": self.name,
            "title": self.title,
            "backend": self.backend,
            "facts": {name: {"value": f.value, "source": f.source} for name, f in self.facts.items()},
            "jetpacks": [vars(j) for j in self.jetpacks],
        }


@cache
def targets() -> Mapping[str, Target]:
    """Every known target by name, in alphabetical order."""
    folder = Path(str(files("edge") / "targets"))
    releases = {name: _read_jetpack(name, row) for name, row in read_toml(folder / "jetpack" / "releases.toml").items()}
    return {path.stem: _read(path, releases) for path in sorted(folder.glob("*.toml"))}


def find_target(name: str) -> Target:
    """One target by name.

    Raises:
        InputError: unknown; the message lists the known names.
    """
    known = targets()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]}? Known" if close else "known"
        raise InputError(f"--target {name}: unknown; {meant} targets are {', '.join(known)} (see edge targets)")
    return known[name]


def cpu_of(target: Target, architecture: str) -> Target:
    """The target that ``cpu`` stands for on an architecture; any other target as it is."""
    return find_target(_CPU_OF.get(architecture, CPU)) if target.name == CPU else target


def _read(path: Path, releases: Mapping[str, JetPack]) -> Target:
    table = read_toml(path)
    known = {name: Fact(**fact) for name, fact in table.get("facts", {}).items()}
    asked = dict.fromkeys(FACTS, Fact(UNKNOWN, "")) if known else {}
    return Target(
        name=path.stem,
        title=table["title"],
        backend=table["backend"],
        precisions=tuple(table["precisions"]),
        safe_rewrites=tuple(table.get("safe_rewrites", ())),
        facts={**asked, **known},
        jetpacks=tuple(releases[version] for version in table.get("jetpacks", ())),
    )


def _read_jetpack(version: str, row: Mapping[str, Any]) -> JetPack:
    lists = {key: tuple(row.get(key, ())) for key in ("l4t", "also")}
    return JetPack(version, **{**row, **lists})
