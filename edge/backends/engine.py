"""Engines: a folder with a compiled artefact and ``engine.json``, and the protocol every compiler is behind.

A backend is a module of this package with one class that satisfies :class:`Backend`. Shapes everywhere: the input is
``[n, channels, height, width]`` float32, the output ``[n, maps, height, width]`` float32, both at the task's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.files import read_document, sha256_file, write_json
from edge.graph.model import Model
from edge.targets.target import Target
from edge.task.task import SegmentationTask

SCHEMA = "edge.engine/1"
MANIFEST = "engine.json"
PRECISIONS = ("fp32", "bf16", "fp16", "int8", "mixed")


@dataclass(frozen=True)
class Candidate:
    """A graph to compile and how.

    Attributes:
        name: for tables and folders; unique in a run (``fp32``, ``int8``, ``mixed-bf16``).
        precision: what the row is called: fp32, bf16, fp16, int8 or mixed.
        rest: precision of whatever the graph leaves unquantized: fp32, bf16 or fp16.
        model: the graph, already in the backend's dialect.
        reasons: node name to one phrase why it was left float.
        simulation: graph that computes what the engine will where the compiler's flags, not the graph, decide
            precision; None where the graph itself does.
    """

    name: str
    precision: str
    rest: str
    model: Model
    reasons: Mapping[str, str] = field(default_factory=dict)
    simulation: Model | None = None


@dataclass(frozen=True)
class ConvCounts:
    """How many convolutions run in which precision, as the compiler says."""

    int8: int = 0
    fp16: int = 0
    bf16: int = 0
    fp32: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer of the compiled engine.

    Attributes:
        name: the compiler's name for it, with the source nodes where known.
        op: what it does.
        precision: int8, fp16, bf16, fp32 or unknown.
        ms: median time, None where the compiler gives none.
        reason: why it was left float, or "".
    """

    name: str
    op: str
    precision: str
    ms: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Engine:
    """A compiled engine on disk.

    Attributes:
        folder: holds ``engine.json`` and the artefact.
        name, precision, rest: from the candidate.
        backend: module name in ``edge.backends``.
        target: name of the target it was built for.
        task: pre- and post-processing, so that an engine folder is complete.
        artefact: file name of what the runtime loads.
        graph_sha256: of the graph that was compiled.
        artefact_sha256: file name to hash, for every artefact file.
        build_seconds: wall time of the compiler.
        convs: see :class:`ConvCounts`.
        versions: package to version.
        runs_on: where it may run, in words a check can use (isa, sm, tensorrt, ...).
    """

    folder: Path
    name: str
    precision: str
    rest: str
    backend: str
    target: str
    task: SegmentationTask
    artefact: str
    graph_sha256: str
    artefact_sha256: Mapping[str, str]
    build_seconds: float
    convs: ConvCounts
    versions: Mapping[str, str]
    runs_on: Mapping[str, Any]

    @classmethod
    def for_candidate(
        cls,
        candidate: Candidate,
        target: Target,
        folder: Path,
        *,
        backend: str,
        artefacts: tuple[str, ...],
        build_seconds: float,
        convs: ConvCounts,
        versions: Mapping[str, str],
        runs_on: Mapping[str, Any],
    ) -> Engine:
        """Describe what a compiler left in ``folder``, and write ``engine.json`` there.

        Args:
            candidate: what was compiled.
            target: what it was compiled for.
            folder: holds the artefacts.
            backend: module name in ``edge.backends``.
            artefacts: file names; the first is what the runtime loads.
            build_seconds, convs, versions, runs_on: see the attributes.
        """
        return cls(
            folder=folder,
            name=candidate.name,
            precision=candidate.precision,
            rest=candidate.rest,
            backend=backend,
            target=target.name,
            task=candidate.model.task,
            artefact=artefacts[0],
            graph_sha256=candidate.model.sha256,
            artefact_sha256={name: sha256_file(folder / name) for name in artefacts},
            build_seconds=build_seconds,
            convs=convs,
            versions=dict(versions),
            runs_on=dict(runs_on),
        ).write()

    @property
    def bytes(self) -> int:
        """Size of the artefact files."""
        return sum((self.folder / name).stat().st_size for name in self.artefact_sha256)

    def write(self) -> Engine:
        """Write ``engine.json`` into the folder."""
        table = {"schema": SCHEMA, **asdict(self), "task": self.task.to_table()}
        del table["folder"]
        write_json(self.folder / MANIFEST, table)
        return self

    def summary(self) -> dict[str, Any]:
        """What ``edge build --json`` prints."""
        return {
            "path": str(self.folder),
            "backend": self.backend,
            "precision": self.precision,
            "bytes": self.bytes,
            "build_seconds": self.build_seconds,
            "convs": asdict(self.convs),
        }


def read_engine(folder: Path) -> Engine:
    """Open an engine folder and check every artefact's hash.

    Raises:
        InputError: not an engine folder, another schema, or a file that differs from its hash.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InputError(f"{folder}: is not an engine folder (no {MANIFEST}); build one with edge build")
    table = read_document(manifest, SCHEMA, "build the engine again with this version")
    try:
        task = SegmentationTask.from_table(table.pop("task"), manifest)
        engine = Engine(folder=folder, task=task, convs=ConvCounts(**table.pop("convs")), **table)
    except (KeyError, TypeError) as error:
        raise InputError(f"{manifest}: is damaged ({error}); build the engine again") from None
    for name, digest in engine.artefact_sha256.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or sha256_file(path) != digest:
            raise InputError(f"{path}: is missing or was changed since it was built; build the engine again")
    return engine


class Runner(Protocol):
    """A loaded engine."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The compiler's own account of what runs, with times where it measures them."""
        ...

    def conditions(self) -> dict[str, Any]:
        """Settings that a latency depends on: threads, precision_hint, streams, affinity, batch."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


class PixelRunner(Protocol):
    """A loaded engine with its task inside, for one image of the network's size at a time."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``[height, width, channels]`` uint8, resized, in the task's order, to ``[height, width]`` class indices."""
        ...

    def conditions(self) -> dict[str, Any]:
        """As :meth:`Runner.conditions`."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


class Backend(Protocol):
    """A compiler."""

    @property
    def name(self) -> str:
        """Its module's name."""
        ...

    def refusal(self, precision: str, target: Target) -> str | None:
        """Why this precision would not really run on the target, or None if it does."""
        ...

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile into an existing empty folder and write ``engine.json``.

        Raises:
            MachineError: the compiler is not installed here (the message names the install line).
            InputError: the compiler refuses the graph.
        """
        ...

    def load(self, engine: Engine, threads: int | None = None) -> Runner:
        """Make an engine ready to run.

        Raises:
            MachineError: this machine cannot run it.
        """
        ...


@runtime_checkable
class PixelBackend(Protocol):
    """A compiler that can take the task into the engine."""

    def load_pixels(self, engine: Engine, threads: int | None = None) -> PixelRunner:
        """Make an engine ready to run from pixels to a mask.

        Raises:
            MachineError: this machine cannot run it.
            InputError: the task cannot be expressed inside the engine.
        """
        ...
