"""Compilers behind one small interface that also runs on a board: a graph's file in, an artefact and its runner out.

Their modules are imported when first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from ..errors import InputError
from .runner import ConvCounts

if TYPE_CHECKING:
    from .runner import Runner

_MODULES = {
    "arm_cpu": (".arm.compiler", "ArmCpuCompiler"),
    "onnxruntime": (".session", "OnnxRuntimeCompiler"),
    "openvino": (".openvino.compiler", "OpenVinoCompiler"),
    "tensorrt": (".tensorrt.compiler", "TensorRtCompiler"),
    "tensorrt_rtx": (".tensorrt.compiler", "TensorRtRtxCompiler"),
}


@dataclass(frozen=True)
class BoardCandidate:
    """One graph to build on a board, by its file.

    Attributes:
        name, precision, rest: as in the run folder's ``engine.json``.
        graph: path of the ONNX file inside the bundle.
        graph_sha256: of the graph without its metadata, as SegEdge computes it.
        parity: path of an ``.npz`` with what ONNX Runtime (optimizations off) returns for this graph.
        reasons: node name to one phrase why it was left float.
        typed: whether the graph's own types give the precision (FP16 tensors and scales); None where it does not say.
        candidate: False for a graph that only serves as reference.
        nodes: names of the graph's nodes, for compilers that leave some of theirs anonymous.
        wide: names of those that compute in FP32 whatever the rest runs in.
    """

    name: str
    precision: str
    rest: str
    graph: str
    graph_sha256: str
    parity: str
    reasons: Mapping[str, str]
    typed: bool | None = None
    candidate: bool = True
    nodes: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """What an engine is tied to: another value of any of these, and it is built again.

    Attributes:
        title: the compiler's name, for people.
        version: of the compiler.
        gpu: name of the GPU or CPU.
        sm: compute capability, or what the CPU can do.
    """

    title: str
    version: str
    gpu: str
    sm: str


@dataclass(frozen=True)
class Built:
    """What the compiler made in a folder.

    Attributes:
        artefact: file name of what the runtime loads.
        files: all files of the artefact.
        seconds: wall time of the compiler.
        convs: see :class:`.runner.ConvCounts`.
        warnings: what it warned of.
        backend, version: of the one that made it, where the target has several compilers; else "".
    """

    artefact: str
    files: tuple[str, ...]
    seconds: float
    convs: ConvCounts
    warnings: tuple[str, ...] = ()
    backend: str = ""
    version: str = ""

    @classmethod
    def from_table(cls, row: Mapping[str, Any]) -> Built:
        """As it was written with :func:`edge.storage.codec.encode`.

        Raises:
            KeyError, TypeError, ValueError: it was not.
        """
        lists = {name: tuple(row.get(name, ())) for name in ("files", "warnings")}
        return cls(**{**row, **lists, "convs": ConvCounts(**row["convs"])})


class Compiler:
    """What a backend has to do on a board: say what it is, build a graph's file, load what it built."""

    def identity(self) -> Identity:
        """Which compiler, on what.

        Raises:
            MachineError: it is not installed, or there is no device for it.
        """
        raise NotImplementedError

    def build(self, candidate: BoardCandidate, graph: Path, folder: Path, timings: Path, workspace: int) -> Built:
        """Compile a graph into an existing empty folder.

        Args:
            candidate: what it is.
            graph: the ONNX file.
            folder: for the artefact.
            timings: file that outlives this build, for what the compiler timed; it may not be there yet.
            workspace: bytes of scratch memory the builder may use.

        Raises:
            InputError: the compiler refuses the graph.
            MachineError: this machine cannot build.
        """
        raise NotImplementedError

    def load(self, candidate: BoardCandidate, folder: Path, built: Built, output: str | None) -> Runner:
        """Make an engine ready to run.

        Raises:
            MachineError: this machine cannot run it.
        """
        raise NotImplementedError


def find_compiler(backend: str) -> Compiler:
    """The compiler of a backend's name.

    Raises:
        InputError: a backend that does not run on devices.
    """
    if backend not in _MODULES:
        raise InputError(f"backend {backend!r} does not run from a bundle; known are {', '.join(_MODULES)}")
    module, name = _MODULES[backend]
    compiler: Compiler = getattr(import_module(module, __package__), name)()
    return compiler
