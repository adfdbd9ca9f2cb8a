"""TensorRT on a Jetson or another NVIDIA GPU: plans built here, with a timing cache that outlives a power cut."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MachineError
from ...files import write_bytes
from ...machine.machine import affinity
from ..compiler import Built, Identity, Runner, Timing, Toolkit, no_convs
from .build import build_plan
from .cuda import Cuda, open_cuda
from .plan import PlanLayer, inspector_layers, rtx_layers
from .run import TensorRtRunner
from .settings import ENTERPRISE, RTX, BuildRequest, find_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...device.manifest import Candidate

_ARTEFACT, _TIMINGS = "model.plan", "timing.cache"


class TensorRtToolkit(Toolkit):
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

    def build(self, candidate: Candidate, graph: Path, folder: Path, cache: Path, workspace: int) -> Built:
        trt = self._module()
        typed = candidate.typed if candidate.typed is not None else self.flavour == RTX
        wish = BuildRequest(
            typed=typed,
            int8=candidate.precision in ("int8", "mixed"),
            fp16=candidate.rest == "fp16",
            workspace=workspace,
        )
        settings = find_settings(str(trt.__version__), wish, self.flavour)
        timings = cache / _TIMINGS
        kept = timings.read_bytes() if timings.is_file() else b""
        made = build_plan(trt, graph.read_bytes(), settings, kept, self._capabilities)
        write_bytes(folder / _ARTEFACT, made.plan)
        if made.timing_cache:
            write_bytes(timings, made.timing_cache)
        return Built(_ARTEFACT, (_ARTEFACT,), made.seconds, self._count(made.plan), made.warnings)

    def load(self, candidate: Candidate, folder: Path, built: Built, output: str | None) -> Runner:
        plan = (folder / built.artefact).read_bytes()
        return _GpuRunner(TensorRtRunner(self._module(), plan, self._device()), output)

    def _count(self, plan: bytes) -> dict[str, int]:
        """Convolutions by precision, from the inspector of the plan just built."""
        trt = self._module()
        from .build import make_logger

        engine = trt.Runtime(make_logger(trt)).deserialize_cuda_engine(plan)
        if engine is None:
            return no_convs()
        document = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
        return _convs(inspector_layers(document))

    def _module(self) -> Any:
        if self._trt is None:
            try:
                self._trt = import_module(self.flavour)
            except ModuleNotFoundError:
                raise MachineError(f"{self.title} has no Python module here; {self.install}") from None
            except (ImportError, OSError) as error:  # a library that it links is missing
                raise MachineError(f"{self.title} is here and cannot be loaded ({error}); {self.install}") from None
        return self._trt

    def _device(self) -> Cuda:
        if self._cuda is None:
            self._cuda = open_cuda()
        return self._cuda


class TensorRtRtxToolkit(TensorRtToolkit):
    """TensorRT for RTX, which also builds where there is no GPU."""

    flavour = RTX
    title = "TensorRT for RTX"
    install = "pip install tensorrt-rtx"

    def _count(self, plan: bytes) -> dict[str, int]:
        return _convs(rtx_layers(plan))


class _GpuRunner(Runner):
    def __init__(self, runner: TensorRtRunner, output: str | None) -> None:
        self._runner = runner
        self._input = next(iter(runner.inputs))
        self._output = output or next(iter(runner.outputs))

    def run(self, image: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self._runner.run({self._input: image})[self._output], np.float32)

    def time(self, image: NDArray[Any]) -> Timing:
        times = self._runner.time({self._input: image})
        return Timing(times.host, {"h2d": times.h2d, "gpu": times.gpu, "d2h": times.d2h})

    def layers(self) -> list[dict[str, Any]]:
        times = dict(self._runner.layer_times())
        return [
            {
                "name": layer.name,
                "op": layer.op,
                "precision": layer.precision,
                "ms": times.get(layer.name),
                "reason": "",
            }
            for layer in self._runner.describe()
        ]

    def conditions(self) -> dict[str, Any]:
        return {
            "batch": 1,
            "precision_hint": "in the plan",
            "threads": 1,
            "affinity": affinity(),
            "cuda_graph": self._runner.uses_graph,
            "device_memory_bytes": self._runner.memory,
            "timed_region": "host clock round copy in, compute, copy out; no pre- or post-processing",
        }

    def close(self) -> None:
        self._runner.close()


def _convs(layers: tuple[PlanLayer, ...]) -> dict[str, int]:
    counts = no_convs()
    for layer in layers:
        if layer.op in ("conv", "deconv"):
            counts[layer.precision] += 1
    return counts
