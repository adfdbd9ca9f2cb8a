"""Compilers behind one small interface that also runs on a board: a graph's file in, an artefact and its runner out.

Their modules are imported when first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..device.manifest import Candidate

_MODULES = {
    "openvino": (".openvino.compiler", "OpenVinoToolkit"),
    "tensorrt": (".tensorrt.compiler", "TensorRtToolkit"),
    "tensorrt_rtx": (".tensorrt.compiler", "TensorRtRtxToolkit"),
}


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
        convs: convolutions by precision, as the compiler says.
        warnings: what it warned of.
    """

    artefact: str
    files: tuple[str, ...]
    seconds: float
    convs: Mapping[str, int]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing:
    """One timed run: milliseconds on the host's clock, and its parts where they are told apart."""

    host: float
    parts: Mapping[str, float] = field(default_factory=dict)


class Runner:
    """A loaded engine, batch 1."""

    def run(self, image: NDArray[Any]) -> NDArray[Any]:
        """``[1, channels, height, width]`` float32 to ``[1, maps, height, width]`` float32."""
        raise NotImplementedError

    def time(self, image: NDArray[Any]) -> Timing:
        """One timed run."""
        raise NotImplementedError

    def layers(self) -> list[dict[str, Any]]:
        """The compiler's account of what runs: name, op, precision, ms, reason."""
        return []

    def conditions(self) -> dict[str, Any]:
        """Settings that a latency depends on, ``timed_region`` and ``batch`` among them."""
        raise NotImplementedError

    def close(self) -> None:
        """Free the device."""


class Toolkit:
    """A compiler."""

    def identity(self) -> Identity:
        """Which compiler, on what.

        Raises:
            MachineError: it is not installed, or there is no device for it.
        """
        raise NotImplementedError

    def build(self, candidate: Candidate, graph: Path, folder: Path, cache: Path, workspace: int) -> Built:
        """Compile a graph into an existing empty folder.

        Args:
            candidate: what it is.
            graph: the ONNX file.
            folder: for the artefact.
            cache: folder that outlives this build (timing caches).
            workspace: bytes of scratch memory the builder may use.

        Raises:
            InputError: the compiler refuses the graph.
            MachineError: this machine cannot build.
        """
        raise NotImplementedError

    def load(self, candidate: Candidate, folder: Path, built: Built, output: str | None) -> Runner:
        """Make an engine ready to run.

        Raises:
            MachineError: this machine cannot run it.
        """
        raise NotImplementedError


def find_toolkit(backend: str) -> Toolkit:
    """The toolkit for a backend's name.

    Raises:
        InputError: a backend that does not run on devices.
    """
    if backend not in _MODULES:
        raise InputError(f"backend {backend!r} does not run from a bundle; known are {', '.join(_MODULES)}")
    module, name = _MODULES[backend]
    toolkit: Toolkit = getattr(import_module(module, __package__), name)()
    return toolkit


def no_convs() -> dict[str, int]:
    """Counts with every key there."""
    return dict.fromkeys(("int8", "fp16", "bf16", "fp32", "unknown"), 0)
