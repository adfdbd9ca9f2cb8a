"""Run a TensorRT plan: pinned buffers, one stream, optionally a CUDA graph; every call by tensor names.

The calls used here are in TensorRT's Python module unchanged from 8.5 to 11, and in TensorRT for RTX.

Three times are told apart: copying in (H2D), computing (between CUDA events around the enqueue) and copying out (D2H);
the host's own time of a whole run is their sum and the launch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from ...errors import InputError, MachineError
from ...machine.cuda import Cuda
from ...safety.watchdog import native_call
from ..runner import Timing, closed
from .build import make_logger, make_object
from .plan import PlanLayer, inspector_layers, plan_version

# By name: `trt.nptype` knows no INT64 on 8.x and no BF16 anywhere.
_TYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}
_PROFILED_RUNS, _UNPROFILED_RUNS = 15, 3


@dataclass(frozen=True)
class _Buffer:
    name: str
    host: Any
    device: int


class TensorRtRunner:
    """A loaded plan.

    Args:
        trt: the ``tensorrt`` or ``tensorrt_rtx`` module.
        plan: as built on this very machine (or, for TensorRT for RTX, for this GPU).
        cuda: see :func:`.open_cuda`.
        graph: whether to replay the work as a CUDA graph, where it can be captured.

    Raises:
        MachineError: the plan is not for this GPU or this TensorRT, or memory is short.
        InputError: an input is dynamic.
    """

    def __init__(self, trt: Any, plan: bytes, cuda: Cuda, graph: bool = True) -> None:
        self._trt, self._cuda = trt, cuda
        self._log = make_logger(trt)
        self._runtime, self._engine = _load(trt, plan, self._log)
        self._context = self._new_context()
        self._closed = False
        self._graph: int | None = None
        self._stream = cuda.stream()
        self._events = [cuda.event() for _ in range(4)]
        self._inputs: list[_Buffer] = []
        self._outputs: list[_Buffer] = []
        try:
            self._bind()
            self._enqueue()  # the first run allocates and may not be captured
            cuda.synchronize(self._stream)
            if graph:
                self._graph = cuda.capture(self._stream, self._enqueue)
        except BaseException:
            self.close()
            raise

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Input name to shape."""
        return {buffer.name: buffer.host.shape for buffer in self._inputs}

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Output name to shape."""
        return {buffer.name: buffer.host.shape for buffer in self._outputs}

    @property
    def uses_graph(self) -> bool:
        """Whether the work is replayed as a CUDA graph."""
        return self._graph is not None

    @property
    def memory(self) -> int:
        """Scratch memory of the engine on the device, bytes; 0 where this TensorRT does not say."""
        self._require_open()
        for name in ("device_memory_size_v2", "device_memory_size"):
            size = getattr(self._engine, name, None)
            if size is not None:
                return int(size)
        return 0

    def _require_open(self) -> None:
        """Refuse what would read or write memory that was freed.

        Raises:
            InputError: :meth:`close` was called.
        """
        if self._closed:
            raise closed()

    def run(self, images: Mapping[str, Any]) -> dict[str, Any]:
        """One inference.

        Args:
            images: input name to array of that input's shape; cast to its type.

        Returns:
            Output name to a fresh array.
        """
        self._require_open()
        self._fill(images)
        cuda, stream = self._cuda, self._stream
        for buffer in self._inputs:
            cuda.to_device(buffer.device, buffer.host, stream)
        self._launch()
        for buffer in self._outputs:
            cuda.to_host(buffer.host, buffer.device, stream)
        cuda.synchronize(stream)
        return {buffer.name: buffer.host.copy() for buffer in self._outputs}

    def time(self, images: Mapping[str, Any]) -> Timing:
        """One inference, timed; the numbers are in the pinned outputs and are not copied again."""
        self._require_open()
        self._fill(images)
        cuda, stream, (first, second, third, fourth) = self._cuda, self._stream, self._events
        start = time.perf_counter()
        cuda.record(first, stream)
        for buffer in self._inputs:
            cuda.to_device(buffer.device, buffer.host, stream)
        cuda.record(second, stream)
        self._launch()
        cuda.record(third, stream)
        for buffer in self._outputs:
            cuda.to_host(buffer.host, buffer.device, stream)
        cuda.record(fourth, stream)
        cuda.synchronize(stream)
        host = 1000.0 * (time.perf_counter() - start)
        marks = {"h2d": (first, second), "gpu": (second, third), "d2h": (third, fourth)}
        return Timing(host, {name: cuda.elapsed(*pair) for name, pair in marks.items()})

    def describe(self) -> tuple[PlanLayer, ...]:
        """The engine's layers as TensorRT's inspector tells them; empty where it is not understood."""
        self._require_open()
        inspector = self._engine.create_engine_inspector()
        return inspector_layers(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def layer_times(self) -> list[tuple[str, float]]:
        """Median milliseconds of each layer, in order. Profiling slows every layer, so this takes a context apart."""
        self._require_open()
        trt, context = self._trt, self._new_context()
        times: dict[str, list[float]] = {}

        class Profiler(trt.IProfiler):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, name: str, milliseconds: float) -> None:
                times.setdefault(name, []).append(milliseconds)

        self._address(context)
        profiler = Profiler()
        context.profiler = profiler
        for run in range(_UNPROFILED_RUNS + _PROFILED_RUNS):
            if run == _UNPROFILED_RUNS:
                times.clear()
            if not context.execute_async_v3(self._stream):
                raise MachineError("TensorRT could not profile the engine: " + self._log.last())
            self._cuda.synchronize(self._stream)
        return [(name, float(np.median(found))) for name, found in times.items()]

    def close(self) -> None:
        """Free the device."""
        if self._closed:
            return
        self._closed = True
        cuda = self._cuda
        if self._graph is not None:
            cuda.free_graph(self._graph)
        for buffer in (*self._inputs, *self._outputs):
            cuda.free(buffer.device)
            cuda.free_pinned(buffer.host)
        for event in self._events:
            cuda.free_event(event)
        cuda.free_stream(self._stream)
        del self._context, self._engine, self._runtime  # in this order: each needs the next

    def _new_context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise MachineError("this GPU has not enough memory for the engine: " + self._log.last())
        # Plans are built with detail for the inspector, and marking each layer for a profiler then slows every launch.
        context.nvtx_verbosity = self._trt.ProfilingVerbosity.NONE
        return context

    def _bind(self) -> None:
        trt, engine = self._trt, self._engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        for name in names:
            shape = tuple(self._context.get_tensor_shape(name))
            if -1 in shape:
                raise InputError(f"{name!r} has the dynamic shape {shape}: build the engine from static shapes")
            host = self._cuda.pinned(shape, _numpy_type(engine.get_tensor_dtype(name), name))
            buffer = _Buffer(name, host, self._cuda.malloc(max(1, host.nbytes)))
            (self._inputs if name in inputs else self._outputs).append(buffer)
            host[...] = 0
        self._address(self._context)

    def _address(self, context: Any) -> None:
        for buffer in (*self._inputs, *self._outputs):
            if not context.set_tensor_address(buffer.name, buffer.device):
                raise MachineError(f"TensorRT refuses the memory of {buffer.name!r}: {self._log.last()}")

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream):
            raise MachineError("TensorRT could not run the engine: " + self._log.last())

    def _launch(self) -> None:
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.launch(self._graph, self._stream)

    def _fill(self, images: Mapping[str, Any]) -> None:
        for buffer in self._inputs:
            image = np.asarray(images[buffer.name])
            if image.shape != buffer.host.shape:
                raise InputError(f"input {buffer.name!r} is {image.shape}, the engine takes {buffer.host.shape}")
            buffer.host[...] = image


def built_layers(trt: Any, plan: bytes) -> tuple[PlanLayer, ...]:
    """Layers of a plan that was just built here, as TensorRT's inspector tells them; empty where it does not load."""
    with native_call("the plan just built", "TensorRT"):
        engine = make_object(trt.Runtime, make_logger(trt)).deserialize_cuda_engine(plan)
        if engine is None:
            return ()
        inspector = engine.create_engine_inspector()
        return inspector_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _load(trt: Any, plan: bytes, log: Any) -> tuple[Any, Any]:
    runtime = make_object(trt.Runtime, log)
    if hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = False  # a plan is data; it must not bring code for this CPU
    if hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        built = plan_version(plan)
        by = f" (it was built by TensorRT {built}, this is {trt.__version__})" if built else ""
        raise MachineError(f"this machine cannot load the engine{by}: {log.last()}; build it again here")
    return runtime, engine


def _numpy_type(kind: Any, tensor: str) -> Any:
    name = str(kind).rsplit(".", 1)[-1]
    if name not in _TYPES:
        raise InputError(f"{tensor!r} has the type {name}: cast inputs and outputs to float32 in the graph")
    return _TYPES[name]
