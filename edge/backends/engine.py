"""Engines: a folder with a compiled artefact and ``engine.json``, and the protocol every compiler is behind.

A backend is a module of this package with one class that satisfies :class:`Backend`. Shapes everywhere: the input is
``[n, channels, height, width]`` float32, the output ``[n, maps, height, width]`` float32, both at the task's size.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edge.backends.runner import ConvCounts as ConvCounts
from edge.backends.runner import Layer as Layer
from edge.backends.runner import PixelRunner as PixelRunner
from edge.backends.runner import Runner as Runner
from edge.errors import InputError, MachineError
from edge.files import json_bytes, sha256_file, write_bytes
from edge.notebook.shown import Shown, Table
from edge.safety.guard import parse_json, parsing, read_document
from edge.storage.binding import BLANK, bind, is_bound
from edge.targets.target import Target
from edge.task.task import SegmentationTask

if TYPE_CHECKING:  # an engine that is loaded needs no ONNX: 10 MB of a process that only segments
    from edge.graph.model import Model

SCHEMA = "edge.engine/1"
MANIFEST = "engine.json"
PRECISIONS = ("fp32", "bf16", "fp16", "int8", "mixed")
RESTS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Candidate:
    """A graph to compile and how.

    Attributes:
        name: for tables and folders; unique in a run (``fp32``, ``int8``, ``mixed-bf16``).
        precision: what the row is called: fp32, bf16, fp16, int8 or mixed.
        rest: precision of whatever the graph leaves unquantized: fp32, bf16 or fp16.
        model: the graph, already in the backend's dialect.
        reasons: node name to one phrase why it was left float.
        simulation: graph that computes what the engine will, where ``model`` in ONNX Runtime does not: the compiler's
            flags decide precision, or it rounds inside an operator. None where it does.
        source: the FP32 graph, with Q/DQ where it is quantized, that ``model`` was written from; None where it is
            ``model`` itself.
        typed: the same with FP16 in its types, for a strongly typed compiler, where flags decide; None where ``model``
            is that itself.
    """

    name: str
    precision: str
    rest: str
    model: Model
    reasons: Mapping[str, str] = field(default_factory=dict)
    simulation: Model | None = None
    source: Model | None = None
    typed: Model | None = None

    @property
    def simulated(self) -> Model:
        """The graph whose outputs in ONNX Runtime stand for the engine's: its own unless flags decide precision.

        With TensorRT's FP16 flag the builder chooses FP16 layer by layer by time; this assumes FP16 everywhere.
        """
        return self.simulation or self.model

    @property
    def plain(self) -> Model:
        """The FP32 graph, with Q/DQ where it is quantized, before anything of the compiler's."""
        return self.source or self.model


@dataclass(frozen=True, repr=False)
class Engine(Shown):
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

    def __repr__(self) -> str:
        return f"<Engine {self.folder}: {self.precision}, {self.backend}, for {self.target}>"

    def _table(self) -> Table:
        return ("engine", self.name), self.summary().items()

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
        """Write ``engine.json`` into the folder, bound by its own hash."""
        table = {"schema": SCHEMA, **asdict(self), "task": self.task.to_table(), "binding": BLANK}
        del table["folder"]
        write_bytes(self.folder / MANIFEST, bind(json_bytes(table)))
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
    """Open an engine folder and check what it binds: ``engine.json`` by its own hash, every artefact by the hash there.

    Raises:
        InputError: not an engine folder, another schema, damaged, or changed since it was built.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InputError(f"{folder}: is not an engine folder (no {MANIFEST}); build one with edge build")
    document = read_document(manifest, "engine")
    table = parse_json(document, manifest, "build the engine again")
    if not isinstance(table, dict) or table.pop("schema", None) != SCHEMA:
        raise InputError(f"{manifest}: is not of schema {SCHEMA}; build the engine again with this version")
    _require_bound(manifest, document, table)
    with parsing(manifest, "a sound engine", "build the engine again"):
        task = SegmentationTask.from_table(table.pop("task"), manifest)
        engine = Engine(folder=folder, task=task, convs=ConvCounts(**table.pop("convs")), **table)
        _require_kinds(engine)
    _require_artefacts(engine)
    return engine


def require_home(engine: Engine, package: str, installed: str) -> None:
    """Refuse an engine that was proven by another release of its compiler, or on another kind of CPU.

    Args:
        engine: about to be loaded.
        package: its compiler's key in ``versions``.
        installed: the version here.

    Raises:
        MachineError: names both.
    """
    built = engine.versions.get(package, installed)
    if _release(built) != _release(installed):
        raise MachineError(
            f"{engine.folder}: was built and proven with {package} {_release(built)}, this machine has "
            f"{_release(installed)}, which may give other masks; build it again here, or install that version"
        )
    architecture = engine.runs_on.get("architecture", platform.machine())
    if architecture != platform.machine():
        raise MachineError(
            f"{engine.folder}: was built for {architecture}, this machine is {platform.machine()}; build the engine on "
            "a machine of its kind"
        )


def _require_bound(manifest: Path, document: bytes, table: dict[str, Any]) -> None:
    if table.pop("binding", None) is None:
        raise InputError(f"{manifest}: is bound by no hash, as older versions wrote it; build the engine again")
    if not is_bound(document):
        raise InputError(f"{manifest}: was changed since it was built; build the engine again")


def _require_kinds(engine: Engine) -> None:
    """Refuse values of a kind that later steps would fail on.

    Raises:
        TypeError, ValueError: names the key.
    """
    for key in ("name", "precision", "rest", "backend", "target", "artefact", "graph_sha256"):
        if not isinstance(getattr(engine, key), str):
            raise TypeError(f"{key} is no text")
    for key in ("artefact_sha256", "versions", "runs_on"):
        if not isinstance(getattr(engine, key), dict):
            raise TypeError(f"{key} is no table")
    if not all(isinstance(text, str) for text in (*engine.artefact_sha256.values(), *engine.versions.values())):
        raise TypeError("a hash or a version is no text")
    numbers = (engine.build_seconds, *asdict(engine.convs).values())
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise TypeError("build_seconds or convs is no number")
    if engine.precision not in PRECISIONS or engine.rest not in RESTS:
        raise ValueError(f"precision {engine.precision!r} or rest {engine.rest!r} is unknown")


def _require_artefacts(engine: Engine) -> None:
    """Every file that decides a mask lies in the folder and has its hash."""
    needed = [engine.artefact]
    if engine.artefact.endswith(".xml"):  # OpenVINO finds the weights by this name
        needed.append(engine.artefact[: -len("xml")] + "bin")
    unbound = [name for name in needed if name not in engine.artefact_sha256]
    if unbound:
        raise InputError(f"{engine.folder / MANIFEST}: no hash for its artefact {unbound[0]!r}; build the engine again")
    for name, digest in engine.artefact_sha256.items():
        path = engine.folder / name
        if Path(name).name != name or not path.is_file() or sha256_file(path) != digest:
            raise InputError(f"{path}: is missing or was changed since it was built; build the engine again")


def _release(version: str) -> str:
    """``2026.4.1`` of ``2026.4.1-21590-0a1b2c3``."""
    return version.partition("-")[0].partition("+")[0]


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
class TrialBackend(Protocol):
    """A compiler that can run a graph without leaving an engine behind: for the many trials of a search."""

    def trial(self, candidate: Candidate, threads: int | None = None) -> Runner:
        """Compile in memory.

        Raises:
            MachineError: this machine cannot run it.
            InputError: the compiler refuses the graph.
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
