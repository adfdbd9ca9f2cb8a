"""Build a TensorRT plan from an ONNX graph with whichever TensorRT is installed, 8.5 to 11 or TensorRT for RTX.

The module object is an argument, so one code serves all of them; what differs comes as :class:`.Settings`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Sequence

from ...errors import InputError, MachineError
from .settings import Settings

_KEPT_LINES = 20


@dataclass(frozen=True)
class CompiledPlan:
    """A compiled plan.

    Attributes:
        plan: what the runtime deserializes.
        timing_cache: to hand to the next build on this machine, None where there is none.
        seconds: wall time of the builder.
        warnings: what TensorRT warned of, each line once.
    """

    plan: bytes
    timing_cache: bytes | None
    seconds: float
    warnings: tuple[str, ...]


def build_plan(
    trt: Any,
    graph: bytes,
    settings: Settings,
    timing_cache: bytes = b"",
    capabilities: Sequence[str] = (),
) -> CompiledPlan:
    """Compile a graph.

    Args:
        trt: the ``tensorrt`` or ``tensorrt_rtx`` module.
        graph: serialized ONNX.
        settings: see :func:`.find_settings`.
        timing_cache: of an earlier build on this machine.
        capabilities: GPUs to build for without one here, such as ``SM86`` (TensorRT for RTX only).

    Raises:
        InputError: the parser or the builder refuses the graph, or an input is dynamic.
        MachineError: this TensorRT cannot start here, or lacks something that the table says it has.
    """
    log = make_logger(trt)
    builder = make_object(trt.Builder, log)
    if settings.plugins:
        trt.init_libnvinfer_plugins(log, "")
    network = builder.create_network(_bits(trt, "NetworkDefinitionCreationFlag", settings.network_flags))
    parser = trt.OnnxParser(network, log)
    for flag in settings.parser_flags if hasattr(trt, "OnnxParserFlag") else ():  # 8.6.0's Python lacks it
        parser.set_flag(_member(trt, "OnnxParserFlag", flag))
    if not parser.parse(graph):
        faults = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise InputError("TensorRT {} cannot read the graph: {}".format(trt.__version__, "; ".join(faults)[:500]))
    config = _configure(trt, builder, settings, capabilities)
    _require_static(network)
    unheld = _hold_to_float(trt, network, settings.wide)
    cache = None
    if settings.timing_cache:
        cache = config.create_timing_cache(timing_cache) or config.create_timing_cache(b"")  # none of a damaged one
        config.set_timing_cache(cache, False)
    start = time.perf_counter()
    plan = builder.build_serialized_network(network, config)
    seconds = time.perf_counter() - start
    if plan is None:
        raise InputError(f"TensorRT {trt.__version__} cannot build the graph: {log.last()}")
    kept = bytes(config.get_timing_cache().serialize()) if cache is not None else None
    return CompiledPlan(bytes(plan), kept, seconds, (*unheld, *log.warnings))


def make_object(kind: Any, log: Any) -> Any:
    """A ``Builder`` or ``Runtime``. Without a driver pybind11 raises a TypeError that says nothing; the log says why.

    Raises:
        MachineError: TensorRT cannot start here.
    """
    try:
        made = kind(log)
    except TypeError:
        made = None
    if made is None:
        raise MachineError(f"TensorRT cannot start on this machine: {log.last()}")
    return made


def make_logger(trt: Any) -> Any:
    """A logger that keeps what matters and prints nothing: ``warnings`` (each once), ``errors``, ``last()``."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.warnings: dict[str, None] = {}
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity == trt.ILogger.WARNING:
                self.warnings.setdefault(message)
            elif severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
                del self.errors[:-_KEPT_LINES]

        def last(self) -> str:
            """The last errors in one line, or the last warnings: a missing driver is only warned of."""
            said = self.errors[-3:] or list(self.warnings)[-3:]
            return " ".join(" ".join(said).split())[:500] or "it gave no reason"

    return Log()


def _configure(trt: Any, builder: Any, settings: Settings, capabilities: Sequence[str]) -> Any:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(_member(trt, "MemoryPoolType", "WORKSPACE"), settings.workspace)
    config.profiling_verbosity = _member(trt, "ProfilingVerbosity", "DETAILED")
    for flag in settings.on:
        config.set_flag(_member(trt, "BuilderFlag", flag))
    for flag in settings.off:
        config.clear_flag(_member(trt, "BuilderFlag", flag))
    for name, value in settings.properties:
        setattr(config, name, value)
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, name in enumerate(capabilities):
            config.set_compute_capability(_member(trt, "ComputeCapability", name), index)
    return config


def _hold_to_float(trt: Any, network: Any, names: Sequence[str]) -> list[str]:
    """Constrain the layers of some nodes to FP32, results included: FP16 would overflow there.

    The parser names a layer after its node, and further ones of the same node with a number behind.

    Returns:
        A warning for each node that has no layer.
    """
    missing = set(names)
    for layer in (network.get_layer(index) for index in range(network.num_layers)) if names else ():
        name = layer.name if layer.name in names else re.sub(r"_\d+$", "", layer.name)
        if name not in names:
            continue
        missing.discard(name)
        layer.precision = trt.float32
        for index in range(layer.num_outputs):
            if layer.get_output(index).dtype in (trt.float32, trt.float16):
                layer.set_output_type(index, trt.float32)
    return [f"{name}: no layer is named after it, so it could not be held to FP32" for name in sorted(missing)]


def _require_static(network: Any) -> None:
    """Refuse inputs whose shape is not fixed: an engine here is for the task's size."""
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        if -1 in tuple(tensor.shape):
            raise InputError(f"input {tensor.name!r} has the dynamic shape {tuple(tensor.shape)}: export static shapes")


def _bits(trt: Any, enum: str, names: Sequence[str]) -> int:
    bits = 0
    for name in names:
        bits |= 1 << int(_member(trt, enum, name))
    return bits


def _member(trt: Any, enum: str, name: str) -> Any:
    found = getattr(getattr(trt, enum, None), name, None)
    if found is None:
        raise MachineError(f"TensorRT {trt.__version__} has no {enum}.{name}: its version is not the one it says")
    return found
