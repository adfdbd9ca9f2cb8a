"""Targets: the devices an engine can be built for, as data (``targets/*.toml``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_toml

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fact:
    """One fact about a device, with where it is from. ``value`` is ``"unknown"`` where there is no source."""

    value: Any
    source: str


@dataclass(frozen=True)
class JetPack:
    """One JetPack release that runs on a device, and what it ships."""

    version: str
    tensorrt: str
    cuda: str
    python: str
    source: str


@dataclass(frozen=True)
class Target:
    """A device and the compiler that serves it.

    Attributes:
        name: as given to ``--target``.
        title: for people.
        backend: name of the module in ``edge.backends`` that builds for it.
        precisions: what is tried by default, in order.
        local: whether this machine can be the target (``cpu``); otherwise results here are simulated.
        safe_rewrites: fusion rewrites trusted without measuring (used where the device cannot be measured here).
        facts: sm, memory_gb, bandwidth_gbs, int8_tops_dense, fp16_tflops_dense, dla_cores, power_modes, ...
        jetpacks: newest first; empty for anything that is not a Jetson.
    """

    name: str
    title: str
    backend: str
    precisions: tuple[str, ...]
    local: bool
    safe_rewrites: tuple[str, ...]
    facts: Mapping[str, Fact]
    jetpacks: tuple[JetPack, ...]

    def fact(self, name: str) -> Any:
        """The value of a fact, ``"unknown"`` where the table has none."""
        return self.facts[name].value if name in self.facts else UNKNOWN

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
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def find_target(name: str) -> Target:
    """One target by name.

    Raises:
        InputError: unknown; the message lists the known names.
    """
    known = targets()
    if name not in known:
        raise InputError(f"--target {name}: unknown; known targets are {', '.join(known)} (see edge targets)")
    return known[name]


def _read(path: Path) -> Target:
    table = read_toml(path)
    return Target(
        name=path.stem,
        title=table["title"],
        backend=table["backend"],
        precisions=tuple(table["precisions"]),
        local=table.get("local", False),
        safe_rewrites=tuple(table.get("safe_rewrites", ())),
        facts={name: Fact(**fact) for name, fact in table.get("facts", {}).items()},
        jetpacks=tuple(JetPack(**row) for row in table.get("jetpacks", ())),
    )
