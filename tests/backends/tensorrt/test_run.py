"""The runner against a TensorRT that only keeps promises: it checks what is asked of the real one, call by call.

Only a GPU can run an engine (see the tests marked ``needs_gpu``); bindings, copies, graphs and freeing
can be checked without.
"""

import ctypes

import numpy as np
import pytest

from edge.backends.tensorrt.cuda import CudaRuntime, open_cuda
from edge.backends.tensorrt.run import TensorRtRunner
from edge.errors import InputError, MachineError


class Context:
    def __init__(self, engine):
        self.engine, self.addresses, self.shape, self.runs = engine, {}, engine.shape, 0
        self.profiler = None

    def get_tensor_shape(self, name):
        return self.shape

    def set_tensor_address(self, name, pointer):
        self.addresses[name] = pointer
        return True

    def execute_async_v3(self, stream):
        assert stream
        self.runs += 1
        views = {}
        for name, pointer in self.addresses.items():
            size = int(np.prod(self.shape))
            views[name] = np.frombuffer((ctypes.c_float * size).from_address(pointer), np.float32)
        views["y"][...] = 2 * views["x"] + 1
        if self.profiler is not None:
            self.profiler.report_layer_time("conv", 0.5)
            self.profiler.report_layer_time("relu", 0.25)
        return True


class Engine:
    num_io_tensors = 2
    device_memory_size_v2 = 4096

    def __init__(self, shape):
        self.shape, self.contexts = shape, []

    def get_tensor_name(self, index):
        return ("x", "y")[index]

    def get_tensor_mode(self, name):
        return Trt.TensorIOMode.INPUT if name == "x" else Trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return "DataType.FLOAT"

    def get_tensor_shape(self, name):
        return self.shape

    def create_execution_context(self):
        self.contexts.append(Context(self))
        return self.contexts[-1]


HOST_CODE = []


class Trt:
    __version__ = "10.3.0"
    shape = (1, 1, 2, 3)

    class ILogger:
        WARNING, ERROR, INTERNAL_ERROR = 2, 1, 0

    class IProfiler:
        pass

    class TensorIOMode:
        INPUT, OUTPUT = "in", "out"

    class Runtime:
        engine_host_code_allowed = True

        def __init__(self, log):
            self.log = log

        def deserialize_cuda_engine(self, plan):
            HOST_CODE.append(self.engine_host_code_allowed)
            if plan != b"plan":
                self.log.log(Trt.ILogger.ERROR, "wrong device")
                return None
            return Engine(Trt.shape)


@pytest.fixture
def cuda(library):
    return CudaRuntime(library)


def test_images_go_through_and_everything_is_freed(cuda, library):
    before = library.stub_live()
    runner = TensorRtRunner(Trt, b"plan", cuda, graph=False)
    assert runner.inputs == {"x": (1, 1, 2, 3)} and runner.outputs == {"y": (1, 1, 2, 3)}
    assert runner.memory == 4096 and not runner.uses_graph
    image = np.arange(6, dtype=np.float64).reshape(1, 1, 2, 3)
    first = runner.run({"x": image})["y"]
    second = runner.run({"x": -image})["y"]
    np.testing.assert_array_equal(first, 2 * image + 1)
    np.testing.assert_array_equal(second, -2 * image + 1)
    times = runner.time({"x": image})
    assert times.parts == {"h2d": 1.5, "gpu": 1.5, "d2h": 1.5} and times.host > 0
    runner.close()
    runner.close()
    assert library.stub_live() == before


def test_a_graph_replaces_the_enqueue(cuda, library):
    runner = TensorRtRunner(Trt, b"plan", cuda, graph=True)
    context = runner._context
    assert runner.uses_graph and context.runs == 2  # once to warm up, once recorded
    runner.run({"x": np.zeros((1, 1, 2, 3))})
    assert context.runs == 2
    runner.close()
    library.stub_fail_capture(1)
    fallback = TensorRtRunner(Trt, b"plan", cuda, graph=True)
    library.stub_fail_capture(0)
    assert not fallback.uses_graph
    np.testing.assert_array_equal(fallback.run({"x": np.ones((1, 1, 2, 3))})["y"], np.full((1, 1, 2, 3), 3.0))
    fallback.close()


def test_layers_are_timed_apart(cuda):
    runner = TensorRtRunner(Trt, b"plan", cuda, graph=False)
    runs = runner._context.runs
    assert runner.layer_times() == [("conv", 0.5), ("relu", 0.25)]
    assert runner._context.runs == runs
    runner.close()


def test_a_plan_never_brings_code_for_this_cpu(cuda):
    HOST_CODE.clear()
    TensorRtRunner(Trt, b"plan", cuda).close()
    assert HOST_CODE == [False]


def test_dynamic_inputs_are_refused(cuda, library, monkeypatch):
    before = library.stub_live()
    monkeypatch.setattr(Trt, "shape", (1, 1, -1, -1))
    with pytest.raises(InputError, match=r"'x' has the dynamic shape \(1, 1, -1, -1\): build the engine from static"):
        TensorRtRunner(Trt, b"plan", cuda)
    assert library.stub_live() == before


@pytest.mark.parametrize("fails", [lambda log: None, TypeError("factory function returned nullptr")])
def test_a_tensorrt_that_does_not_start_is_the_machines_fault(cuda, monkeypatch, fails):
    def runtime(log):
        log.log(Trt.ILogger.WARNING, "CUDA initialization failure with error: 35")
        if isinstance(fails, Exception):
            raise fails

    monkeypatch.setattr(Trt, "Runtime", runtime)
    with pytest.raises(MachineError, match="cannot start on this machine: CUDA initialization failure with error: 35"):
        TensorRtRunner(Trt, b"plan", cuda)


def test_a_plan_for_another_machine_is_refused(cuda):
    header = b"ftrt" + bytes(20) + bytes((8, 6, 2, 3))
    with pytest.raises(MachineError, match=r"built by TensorRT 8\.6\.2\.3, this is 10\.3\.0.*wrong device"):
        TensorRtRunner(Trt, header, cuda)
    with pytest.raises(MachineError, match="cannot load the engine: wrong device; build it again here"):
        TensorRtRunner(Trt, b"other", cuda)


def test_an_image_of_another_shape_is_refused(cuda):
    runner = TensorRtRunner(Trt, b"plan", cuda, graph=False)
    with pytest.raises(InputError, match=r"is \(1, 1, 3, 3\), the engine takes \(1, 1, 2, 3\)"):
        runner.run({"x": np.zeros((1, 1, 3, 3))})
    runner.close()


@pytest.mark.needs_gpu
def test_a_real_gpu_copies_and_times():
    try:
        cuda = open_cuda()
    except MachineError as fault:
        pytest.skip(str(fault))
    stream, array = cuda.stream(), cuda.pinned((1024, 1024), np.float32)
    array[...] = 7
    pointer, back = cuda.malloc(array.nbytes), cuda.pinned((1024, 1024), np.float32)
    start, end = cuda.event(), cuda.event()
    cuda.record(start, stream)
    cuda.to_device(pointer, array, stream)
    cuda.record(end, stream)
    cuda.to_host(back, pointer, stream)
    cuda.synchronize(stream)
    assert (back == 7).all() and cuda.elapsed(start, end) > 0
