"""What the TensorRT backends share: the device's own build and run code behind this package's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx

from edge.backends.engine import Candidate, ConvCounts, Engine
from edge.backends.tensorrt.build import CompiledPlan, build_plan
from edge.backends.tensorrt.plan import PlanLayer, convolution_precisions, count_precisions, plan_version
from edge.backends.tensorrt.run import TensorRtRunner
from edge.backends.tensorrt.runner import PlanRunner
from edge.backends.tensorrt.settings import BuildRequest, find_settings
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.graph.wide import wide_nodes
from edge.machine.cuda import Cuda, open_cuda
from edge.safety.watchdog import native_call
from edge.targets.target import Target

ARTEFACT = "model.plan"
WORKSPACE = 2 << 30  # bytes; more than these networks' kernels ask for, less than the smallest board has
_QUANTIZE = ("QuantizeLinear", "DequantizeLinear")
_CONVOLUTIONS = ("Conv", "ConvTranspose")


@contextmanager
def faults(where: str | Path) -> Iterator[None]:
    """Run TensorRT's code over a file within the limit of seconds, and put the file's name before its faults.

    Raises:
        InputError: the graph is at fault.
        MachineError: this machine is.
    """
    try:
        with native_call(where, "TensorRT"):
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
        wide=wide_nodes(candidate.model),
    )


def compile_plan(trt: Any, flavour: str, candidate: Candidate, capabilities: Sequence[str] = ()) -> CompiledPlan:
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
    built: CompiledPlan,
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


def load_plan(trt: Any, engine: Engine, cuda: Cuda | None = None, graph: bool = True) -> PlanRunner:
    """Load a plan on this machine's GPU.

    Raises:
        MachineError: no GPU here, or the engine is for another GPU or another TensorRT.
    """
    path = engine.folder / engine.artefact
    with faults(path):
        runner = TensorRtRunner(trt, path.read_bytes(), cuda or open_cuda(), graph)
        return PlanRunner(runner, engine.task.output_name)
