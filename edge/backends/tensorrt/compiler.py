"""TensorRT on a Jetson or another NVIDIA GPU: plans built here, with a timing cache that outlives a power cut."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Iterable

from ...errors import MachineError
from ...files import write_bytes
from ...machine.cuda import Cuda, open_cuda
from ...safety.watchdog import native_call
from ..compiler import BoardCandidate, Built, Compiler, Identity
from ..runner import ConvCounts
from .build import build_plan
from .plan import PlanLayer, count_precisions, rtx_layers
from .run import TensorRtRunner, built_layers
from .runner import PlanRunner
from .settings import ENTERPRISE, RTX, BuildRequest, find_settings

_ARTEFACT = "model.plan"


class TensorRtCompiler(Compiler):
    """The installed ``tensorrt``, 8.5 to 11."""

    flavour = ENTERPRISE
    title = "TensorRT"
    install = "it comes with JetPack: sudo apt install python3-libnvinfer"

    def __init__(self, capabilities: tuple[str, ...] = ()) -> None:
        self._trt: Any = None
        self._cuda: Cuda | None = None
        self._capabilities = capabilities

    def identity(self) -> Identity:
        version = str(self._module().__version__)
        if self._capabilities:  # building for GPUs that are not here
            return Identity(self.title, version, "none here", " ".join(self._capabilities))
        major, minor = self._device().capability()
        return Identity(self.title, version, f"NVIDIA GPU, SM {major}.{minor}", f"{major}.{minor}")

    def build(self, candidate: BoardCandidate, graph: Path, folder: Path, timings: Path, workspace: int) -> Built:
        trt = self._module()
        typed = candidate.typed if candidate.typed is not None else self.flavour == RTX
        wish = BuildRequest(
            typed=typed,
            int8=candidate.precision in ("int8", "mixed"),
            fp16=candidate.rest == "fp16",
            workspace=workspace,
            wide=tuple(candidate.wide),
        )
        settings = find_settings(str(trt.__version__), wish, self.flavour)
        kept = timings.read_bytes() if timings.is_file() else b""
        with native_call(f"graph {candidate.name}", "TensorRT"):
            made = build_plan(trt, graph.read_bytes(), settings, kept, self._capabilities)
        write_bytes(folder / _ARTEFACT, made.plan)
        if made.timing_cache:
            write_bytes(timings, made.timing_cache)
        return Built(_ARTEFACT, (_ARTEFACT,), made.seconds, self._count(made.plan), made.warnings)

    def load(self, candidate: BoardCandidate, folder: Path, built: Built, output: str | None) -> PlanRunner:
        path = folder / built.artefact
        with native_call(path, "TensorRT"):
            return PlanRunner(TensorRtRunner(self._module(), path.read_bytes(), self._device()), output)

    def _count(self, plan: bytes) -> ConvCounts:
        """Convolutions by precision, from the inspector of the plan just built."""
        return _convs(built_layers(self._module(), plan))

    def _module(self) -> Any:
        if self._trt is None:
            self._trt = import_flavour(self.flavour, self.title, self.install)
        return self._trt

    def _device(self) -> Cuda:
        if self._cuda is None:
            self._cuda = open_cuda()
        return self._cuda


class TensorRtRtxCompiler(TensorRtCompiler):
    """TensorRT for RTX, which also builds where there is no GPU."""

    flavour = RTX
    title = "TensorRT for RTX"
    install = "pip install tensorrt-rtx"

    def _count(self, plan: bytes) -> ConvCounts:
        return _convs(rtx_layers(plan))


def import_flavour(flavour: str, title: str, install: str) -> Any:
    """The ``tensorrt`` or ``tensorrt_rtx`` module.

    Args:
        flavour: the module's name.
        title: what people call it.
        install: how it is installed.

    Raises:
        MachineError: it is not installed, or a library that it needs is missing.
    """
    try:
        return import_module(flavour)
    except ModuleNotFoundError as error:
        raise MachineError(f"{title} is not installed ({error}); {install}") from None
    except (ImportError, OSError) as error:  # a library that it links is missing
        raise MachineError(f"{title} is here and cannot be loaded ({error}); {install}") from None


def _convs(layers: Iterable[PlanLayer]) -> ConvCounts:
    return ConvCounts(**count_precisions(layer.precision for layer in layers if layer.op in ("conv", "deconv")))
