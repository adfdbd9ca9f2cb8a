"""The double of TensorRT itself: it refuses what the real one of its version lacks, and every misuse of the device."""

from __future__ import annotations

import ctypes
import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge.errors import MachineError
from edge.machine.cuda import CudaRuntime
from tests.fixtures.tensorrt.api import recorded_versions
from tests.fixtures.tensorrt.build import Logger as PlayedLogger
from tests.fixtures.tensorrt.install import installed, open_gpu
from tests.fixtures.tensorrt.module import NotPlayed
from tests.fixtures.tensorrt.parser import SilentlyWrong, check

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("8.5.2.2", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"),
        ("8.5.2.2", "IBuilderConfig.builder_optimization_level"),
        ("8.6.0", "OnnxParserFlag"),
        ("8.6.1", "DataType.INT64"),
        ("10.3.0", "ICudaEngine.num_bindings"),
        ("10.16.1.11", "IExecutionContext.execute_async_v2"),
        ("11.0.0.114", "BuilderFlag.FP16"),
        ("11.0.0.114", "IInt8EntropyCalibrator2"),
        ("11.4.0.106", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH"),
        ("rtx-1.7.1.116", "BuilderFlag.INT8"),
    ],
)
def test_what_a_version_lacks_is_not_there(version: str, absent: str) -> None:
    with installed(version) as (trt, _):
        owner = trt
        *path, last = absent.split(".")
        for part in path:
            owner = getattr(owner, part)
        assert not hasattr(owner, last)


@pytest.mark.parametrize("version", recorded_versions())
def test_calls_are_held_against_the_recorded_signatures(version: str) -> None:
    with installed(version) as (trt, _):
        builder = trt.Builder(trt.Logger())
        config = builder.create_builder_config()
        with pytest.raises(TypeError, match="incompatible function arguments"):
            trt.Builder("no logger")
        with pytest.raises(TypeError, match="set_memory_pool_limit"):
            config.set_memory_pool_limit("WORKSPACE", 1 << 20)
        with pytest.raises(AttributeError, match="workspace"):
            config.workspace = 5
        with pytest.raises(TypeError, match="takes ProfilingVerbosity"):
            config.profiling_verbosity = 2
        with pytest.raises(NotPlayed, match=r"INetworkDefinition\.add_identity"):
            builder.create_network(0).add_identity(None)


def test_without_a_driver_the_builder_is_a_type_error_as_in_the_real_wheels(capsys: pytest.CaptureFixture[str]) -> None:
    with installed("8.6.0", devices=0) as (trt, _), pytest.raises(TypeError, match="factory function returned nullptr"):
        trt.Builder(trt.Logger())
    assert "CUDA initialization failure with error: 35" in capsys.readouterr().err
    with installed("10.3.0", devices=0), pytest.raises(MachineError, match="driver"):
        CudaRuntime(open_gpu("8.7", 0).library)


@pytest.mark.parametrize(
    ("text", "version", "said"),
    [
        ("y = Gelu(x)", (8, 6), "no importer"),
        ("y = LayerNormalization(x, s)", (8, 5), "no importer"),
        ("y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)", (10, 3), "dilated pooling"),
        ("y, i = MaxPool<kernel_shape=[2,2]>(x)", (11, 0), "Indices"),
        ("y = Swish(x)", (10, 16), "no importer"),
    ],
)
def test_the_parser_refuses(text: str, version: tuple[int, int], said: str) -> None:
    assert said in check(_graph(text), version, plugins=True)[0].text


def test_what_the_real_one_takes_and_gets_wrong_is_an_error() -> None:
    with pytest.raises(SilentlyWrong, match="operator set 18"):
        check(_graph("y = Relu(x)", opset=18), (8, 6), plugins=True)
    with pytest.raises(SilentlyWrong, match="operator set 21"):
        check(_graph("y = Relu(x)", opset=21), (10, 3), plugins=True)
    assert check(_graph("y = Relu(x)", opset=21), (10, 16), plugins=True) == []
    half = _graph("y = QuantizeLinear(x, scale, zero)")
    half.graph.initializer.append(onnx.numpy_helper.from_array(np.float16(1), "scale"))
    half.graph.initializer.append(onnx.numpy_helper.from_array(np.int8(0), "zero"))
    with pytest.raises(SilentlyWrong, match="float16 scale"):
        check(half, (8, 5), plugins=True)


def test_device_memory_is_out_of_reach_and_bounded() -> None:
    gpu = open_gpu()
    cuda = CudaRuntime(gpu.library)
    stream, host, pointer = cuda.stream(), cuda.pinned((4,), np.float32), cuda.malloc(16)
    for act, said in (
        (lambda: cuda.to_device(pointer + 8, host, stream), "16 bytes where 8 are left"),
        (lambda: cuda.to_host(host, pointer - 4, stream), "is in no device memory"),
        (lambda: cuda.to_device(pointer, np.zeros(4, np.float32), stream), "is in no pinned memory"),
        (lambda: cuda.to_device(pointer, host, 12345), "is no live one"),
    ):
        gpu.forget()
        with pytest.raises(MachineError):
            act()
        assert said in gpu.faults[-1]
    cuda.free(pointer)
    with pytest.raises(MachineError):
        cuda.to_host(host, pointer, stream)
    assert "was freed" in gpu.faults[-1]
    with pytest.raises(MachineError):
        cuda.free(pointer)
    cuda.free_pinned(host)
    cuda.free_stream(stream)
    gpu.forget()


def test_an_unsynchronized_read_sees_nothing_and_two_streams_are_told_apart() -> None:
    gpu = open_gpu()
    cuda, live = CudaRuntime(gpu.library), gpu.live
    first, second = cuda.stream(), cuda.stream()
    source, target, pointer = cuda.pinned((4,), np.float32), cuda.pinned((4,), np.float32), cuda.malloc(16)
    source[:] = 3
    cuda.to_device(pointer, source, first)
    cuda.to_host(target, pointer, first)
    assert np.isnan(target).all()
    cuda.synchronize(first)
    assert (target == 3).all() and not gpu.faults
    cuda.to_device(pointer, source, first)
    cuda.to_host(target, pointer, second)
    cuda.synchronize(second)
    assert "two streams use the buffer" in gpu.faults[-1]
    gpu.forget()
    start, end = cuda.event(), cuda.event()
    with pytest.raises(MachineError, match="invalid resource handle"):
        cuda.elapsed(start, end)
    cuda.record(start, first)
    cuda.record(end, first)
    with pytest.raises(MachineError, match="not ready"):
        cuda.elapsed(start, end)
    cuda.synchronize(first)
    assert cuda.elapsed(start, end) >= 0
    for free, things in (
        (cuda.free, [pointer]),
        (cuda.free_pinned, [source, target]),
        (cuda.free_event, [start, end]),
        (cuda.free_stream, [first, second]),
    ):
        for thing in things:
            free(thing)
    assert gpu.live == live
    gpu.forget()


def test_a_call_that_cannot_be_captured_spoils_the_graph() -> None:
    gpu = open_gpu()
    cuda = CudaRuntime(gpu.library)
    stream = cuda.stream()
    status = ctypes.c_void_p()
    graph = cuda.capture(stream, lambda: gpu.library.cudaMalloc(ctypes.byref(status), ctypes.c_size_t(8)) and None)
    assert graph is None and "while a stream is captured" in gpu.faults[-1]
    cuda.free_stream(stream)
    gpu.forget()


def test_the_own_logger_keeps_to_its_severity(capsys: pytest.CaptureFixture[str]) -> None:
    with installed("10.3.0") as (trt, _):
        log = PlayedLogger(trt.Logger()._player.world)
        log.log(trt.ILogger.INFO, "quiet")
        log.log(trt.ILogger.ERROR, "loud")
    assert capsys.readouterr().err == "[TRT] [E] loud\n"


def _graph(text: str, opset: int = 17) -> onnx.ModelProto:
    header = f'<ir_version: 8, opset_import: ["" : {opset}]> net (float[1,4,8,8] x, float[8] s) => (float[1,4,8,8] y)'
    return onnx.parser.parse_model(f"{header} {{ {text} }}")


def test_what_is_imported_beside_the_double_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_beside.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with installed("8.6.0"):
        importlib.import_module("imported_beside")
        assert "tensorrt" in sys.modules
    assert "imported_beside" in sys.modules and "tensorrt" not in sys.modules
    del sys.modules["imported_beside"]
