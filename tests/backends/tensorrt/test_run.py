"""The runner against the double of TensorRT: bindings, copies, graphs, times and freeing, call by call.

Only a GPU can run an engine (see the tests marked ``needs_gpu``); every version is tried in ``test_generations.py``.
"""

import numpy as np
import onnx
import pytest

from edge.backends.tensorrt.build import build_plan
from edge.backends.tensorrt.run import TensorRtRunner
from edge.backends.tensorrt.settings import BuildRequest, find_settings
from edge.errors import InputError, MachineError
from edge.machine.cuda import CudaRuntime, open_cuda
from tests.fixtures.tensorrt.install import installed
from tests.fixtures.tensorrt.run import Runtime

VERSION = "10.3.0"
SETTINGS = find_settings(VERSION, BuildRequest(typed=False, int8=False, fp16=False, workspace=1 << 28))


@pytest.fixture
def trt(library):
    with installed(VERSION) as (module, _):
        yield module


@pytest.fixture
def cuda(trt, library):
    return CudaRuntime(library)


@pytest.fixture
def plan(trt):
    """Of y = 2 x + 1."""
    return build_plan(trt, graph("1, 1, 2, 3").SerializeToString(), SETTINGS).plan


def graph(shape):
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[{shape}] x) => (float[{shape}] y) '
        "<float two = {2.0}, float one = {1.0}> { t = Mul(x, two) y = Add(t, one) }"
    )


def test_images_go_through_and_everything_is_freed(trt, plan, cuda, library):
    before = library.double_live()
    runner = TensorRtRunner(trt, plan, cuda, graph=False)
    assert runner.inputs == {"x": (1, 1, 2, 3)} and runner.outputs == {"y": (1, 1, 2, 3)}
    assert runner.memory == 4096 and not runner.uses_graph
    image = np.arange(6, dtype=np.float64).reshape(1, 1, 2, 3)
    first = runner.run({"x": image})["y"]
    second = runner.run({"x": -image})["y"]
    np.testing.assert_array_equal(first, 2 * image + 1)
    np.testing.assert_array_equal(second, -2 * image + 1)
    times = runner.time({"x": image})
    assert set(times.parts) == {"h2d", "gpu", "d2h"} and min(times.parts.values()) >= 0
    assert times.host >= sum(times.parts.values()) > 0
    runner.close()
    runner.close()
    assert library.double_live() == before


def test_a_graph_replaces_the_enqueue(trt, plan, cuda, library, monkeypatch):
    enqueue, runs = trt.IExecutionContext.execute_async_v3, []
    monkeypatch.setattr(
        trt.IExecutionContext, "execute_async_v3", lambda self, stream: runs.append(stream) or enqueue(self, stream)
    )
    runner = TensorRtRunner(trt, plan, cuda, graph=True)
    assert runner.uses_graph and len(runs) == 2  # once to warm up, once recorded
    np.testing.assert_array_equal(runner.run({"x": np.ones((1, 1, 2, 3))})["y"], np.full((1, 1, 2, 3), 3.0))
    assert len(runs) == 2
    runner.close()
    library.double_refuse_capture(1)
    fallback = TensorRtRunner(trt, plan, cuda, graph=True)
    library.double_refuse_capture(0)
    assert not fallback.uses_graph
    np.testing.assert_array_equal(fallback.run({"x": np.ones((1, 1, 2, 3))})["y"], np.full((1, 1, 2, 3), 3.0))
    fallback.close()


def test_layers_are_timed_apart(trt, plan, cuda):
    runner = TensorRtRunner(trt, plan, cuda, graph=False)
    times = runner.layer_times()
    assert len(times) == 2 and all(ms > 0 for _, ms in times)
    assert runner._context.profiler is None
    runner.close()


def test_a_plan_never_brings_code_for_this_cpu(trt, plan, cuda, monkeypatch):
    begin, load, allowed = Runtime.__init__, Runtime.deserialize_cuda_engine, []

    def begin_open(self, world, logger):
        begin(self, world, logger)
        self.engine_host_code_allowed = True

    def load_noted(self, serialized_engine):
        allowed.append(self.engine_host_code_allowed)
        return load(self, serialized_engine)

    monkeypatch.setattr(Runtime, "__init__", begin_open)
    monkeypatch.setattr(Runtime, "deserialize_cuda_engine", load_noted)
    TensorRtRunner(trt, plan, cuda).close()
    assert allowed == [False]


def test_a_closed_runner_touches_no_freed_memory(trt, plan, cuda):
    runner, image = TensorRtRunner(trt, plan, cuda), {"x": np.zeros((1, 1, 2, 3), np.float32)}
    runner.run(image)
    runner.close()
    for ask in (lambda: runner.run(image), lambda: runner.time(image), runner.describe, runner.layer_times,
                lambda: runner.memory):  # fmt: skip
        with pytest.raises(InputError, match=r"^the engine: was closed.*; load it again$"):
            ask()


def test_dynamic_inputs_are_refused(trt, cuda, library):
    before, log = library.double_live(), trt.Logger()
    builder = trt.Builder(log)
    network, config, profile = builder.create_network(0), builder.create_builder_config(), None
    assert trt.OnnxParser(network, log).parse(graph("1, 1, H, W").SerializeToString())
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 1, 2, 2), (1, 1, 4, 4), (1, 1, 8, 8))
    config.add_optimization_profile(profile)
    dynamic = bytes(builder.build_serialized_network(network, config))
    with pytest.raises(InputError, match=r"'x' has the dynamic shape \(1, 1, -1, -1\): build the engine from static"):
        TensorRtRunner(trt, dynamic, cuda)
    assert library.double_live() == before


def test_a_runtime_that_is_none_is_the_machines_fault(trt, plan, cuda, monkeypatch):
    def nothing(log):
        log.log(trt.ILogger.WARNING, "CUDA initialization failure with error: 35")

    monkeypatch.setattr(trt, "Runtime", nothing)
    with pytest.raises(MachineError, match="cannot start on this machine: CUDA initialization failure with error: 35"):
        TensorRtRunner(trt, plan, cuda)


def test_a_plan_for_another_machine_is_refused(trt, cuda):
    header = b"ftrt" + bytes(20) + bytes((8, 6, 2, 3))
    with pytest.raises(MachineError, match=r"built by TensorRT 8\.6\.2\.3, this is 10\.3\.0.*the plan is damaged"):
        TensorRtRunner(trt, header, cuda)
    with pytest.raises(MachineError, match=r"cannot load the engine: the plan is damaged.*; build it again here"):
        TensorRtRunner(trt, b"other", cuda)


def test_an_image_of_another_shape_is_refused(trt, plan, cuda):
    runner = TensorRtRunner(trt, plan, cuda, graph=False)
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
