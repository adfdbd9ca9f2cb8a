"""What the TensorRT backends share: the device's own build and run code behind this package's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.backends.engine import Candidate, ConvCounts, Engine, Layer
from edge.backends.tensorrt.build import Built, build_plan
from edge.backends.tensorrt.cuda import Cuda, open_cuda
from edge.backends.tensorrt.plan import PlanLayer, convolution_precisions, count_precisions, plan_version
from edge.backends.tensorrt.run import RunTimes, TensorRtRunner
from edge.backends.tensorrt.settings import BuildRequest, find_settings
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.targets.target import Target

ARTEFACT = "model.plan"
WORKSPACE = 2 << 30  # bytes; more than these networks' kernels ask for, less than the smallest board has
_QUANTIZE = ("QuantizeLinear", "DequantizeLinear")
_CONVOLUTIONS = ("Conv", "ConvTranspose")


@contextmanager
def faults(where: str | Path) -> Iterator[None]:
    """Turn the device code's faults into this package's errors.

    Raises:
        InputError: the graph is at fault.
        MachineError: this machine is.
    """
    try:
        yield
    except InputError as fault:
        raise InputError(f"{where}: {fault}") from None
    except MachineError as fault:
        raise MachineError(f"{where}: {fault}") from None


def wish_for(candidate: Candidate, workspace: int = WORKSPACE) -> BuildRequest:
    """What the graph itself says about its precision, and what flags have to add."""
    graph = candidate.model.proto.graph
    types = {tensor.data_type for tensor in graph.initializer}
    return BuildRequest(
        typed=onnx.TensorProto.FLOAT16 in types,
        int8=any(node.op_type in _QUANTIZE for node in graph.node),
        fp16=candidate.rest == "fp16",
        workspace=workspace,
    )


def compile_plan(trt: Any, flavour: str, candidate: Candidate, capabilities: Sequence[str] = ()) -> Built:
    """Compile a candidate with an installed TensorRT.

    Raises:
        InputError: TensorRT refuses the graph.
        MachineError: this machine lacks something.
    """
    with faults(candidate.model.source or candidate.model.name):
        settings = find_settings(trt.__version__, wish_for(candidate), flavour)
        return build_plan(trt, candidate.model.proto.SerializeToString(), settings, capabilities=capabilities)


def convolutions(model: Model) -> tuple[str, ...]:
    """Names of a graph's convolutions, transposed ones included."""
    return tuple(node.name for node in model.proto.graph.node if node.op_type in _CONVOLUTIONS)


def audit(layers: Sequence[PlanLayer], model: Model) -> Mapping[str, str]:
    """Each convolution's precision as the plan has it; ``unknown`` where the plan's text was not understood."""
    return convolution_precisions(layers, convolutions(model))


def write_engine(
    folder: Path,
    candidate: Candidate,
    target: Target,
    backend: str,
    built: Built,
    precisions: Mapping[str, str],
    versions: Mapping[str, str],
    runs_on: Mapping[str, Any],
) -> Engine:
    """Store a plan as an engine folder."""
    (folder / ARTEFACT).write_bytes(built.plan)
    return Engine.for_candidate(
        candidate,
        target,
        folder,
        backend=backend,
        artefacts=(ARTEFACT,),
        build_seconds=built.seconds,
        convs=ConvCounts(**count_precisions(precisions.values())),
        versions=versions,
        runs_on={**runs_on, "plan": plan_version(built.plan) or "unknown"},
    )


def load_plan(trt: Any, engine: Engine, cuda: Cuda | None = None, graph: bool = True) -> EngineRunner:
    """Load a plan on this machine's GPU.

    Raises:
        MachineError: no GPU here, or the engine is for another GPU or another TensorRT.
    """
    path = engine.folder / engine.artefact
    with faults(path):
        return EngineRunner(TensorRtRunner(trt, path.read_bytes(), cuda or open_cuda(), graph), engine)


class EngineRunner:
    """A loaded plan behind this package's protocol, batch 1."""

    def __init__(self, runner: TensorRtRunner, engine: Engine) -> None:
        self._runner = runner
        self._input = next(iter(runner.inputs))
        self._output = engine.task.output_name or next(iter(runner.outputs))

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time."""
        maps = [self._runner.run({self._input: image[None]})[self._output] for image in batch]
        return np.concatenate(maps).astype(np.float32, copy=False)

    def times(self, image: NDArray[np.float32]) -> RunTimes:
        """One run's copies and computation apart, in milliseconds."""
        return self._runner.time({self._input: image})

    def layers(self) -> tuple[Layer, ...]:
        """The inspector's layers with the median time of each, profiled apart."""
        times = dict(self._runner.layer_times())
        told = self._runner.describe()
        if not told:
            return tuple(Layer(name, "layer", "unknown", ms) for name, ms in times.items())
        return tuple(Layer(layer.name, layer.op, layer.precision, times.get(layer.name)) for layer in told)

    def conditions(self) -> dict[str, Any]:
        """What a latency here depends on."""
        return {
            "batch": 1,
            "streams": 1,
            "cuda_graph": self._runner.uses_graph,
            "host_memory": "pinned",
            "timed_region": "copy in, compute, copy out",
            "engine_memory_bytes": self._runner.memory,
        }

    def close(self) -> None:
        """Free the device."""
        self._runner.close()
