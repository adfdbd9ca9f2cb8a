"""The ctypes half of the GPU interface, against the double of libcudart.

It checks the calls (argument types, order, freeing) that no machine without a GPU can; on one with a GPU the tests
marked ``needs_gpu`` use the real library.
"""

import ctypes
import shutil
import sys

import numpy as np
import pytest

from edge.errors import MachineError
from edge.machine.cuda import CudaRuntime, find_library, open_cuda
from tests.fixtures.tensorrt.gpu import compile_cudart


def test_memory_goes_there_and_back_and_is_freed(library):
    cuda, before = CudaRuntime(library), library.double_live()
    stream, array = cuda.stream(), cuda.pinned((2, 3), np.float32)
    array[...] = np.arange(6).reshape(2, 3)
    back, pointer = cuda.pinned((2, 3), np.float32), cuda.malloc(array.nbytes)
    cuda.to_device(pointer, array, stream)
    cuda.to_host(back, pointer, stream)
    cuda.synchronize(stream)
    np.testing.assert_array_equal(back, array)
    assert library.double_live() == before + 4
    cuda.free(pointer)
    cuda.free_pinned(array)
    cuda.free_pinned(back)
    cuda.free_stream(stream)
    assert library.double_live() == before


def test_times_and_facts(library):
    cuda = CudaRuntime(library)
    start, end, stream = cuda.event(), cuda.event(), cuda.stream()
    cuda.record(start, stream)
    cuda.record(end, stream)
    cuda.synchronize(stream)
    assert cuda.elapsed(start, end) >= 0
    assert cuda.capability() == (8, 7) and cuda.memory()[1] == 8 << 30
    assert cuda.bus_id() == "0000:65:00.0"
    cuda.free_event(start)
    cuda.free_event(end)
    cuda.free_stream(stream)


def test_a_graph_is_recorded_or_done_without(library):
    cuda, done = CudaRuntime(library), []
    stream, before = cuda.stream(), library.double_live()
    graph = cuda.capture(stream, lambda: done.append(1))
    assert graph and done == [1]
    cuda.launch(graph, stream)
    cuda.free_graph(graph)
    library.double_refuse_capture(1)
    assert cuda.capture(stream, lambda: None) is None
    library.double_refuse_capture(0)
    assert library.double_live() == before
    cuda.free_stream(stream)


def test_a_failed_call_says_which_and_why(library):
    with pytest.raises(MachineError, match="cudaMalloc failed: out of memory"):
        CudaRuntime(library).malloc(1 << 41)


def test_a_machine_without_a_gpu_is_told_so():
    try:
        find_library()
    except OSError:
        pass
    else:
        try:
            open_cuda()
        except MachineError as fault:
            assert "driver" in str(fault) or "GPU" in str(fault)
            return
        pytest.skip("there is a GPU here")
    with pytest.raises(MachineError, match="libcudart"):
        open_cuda("cudart")


def test_the_newest_runtime_that_the_driver_serves_is_taken(tmp_path, monkeypatch):
    """TensorRT's wheels bring their own runtime; a toolkit that is newer than the driver is passed over."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    both, newer = tmp_path / "both", tmp_path / "newer"
    for site, name, devices, folder in (
        (both, "libcudart.so.13", 0, "cu13"),
        (both, "libcudart.so.12", 1, "cuda_runtime"),
        (newer, "libcudart.so.13", 0, "cu13"),
    ):
        lib = site / "nvidia" / folder / "lib"
        lib.mkdir(parents=True)
        # Under a name of its own inside: nothing else of this process shall find it as libcudart.
        compile_cudart(lib, "8.6", devices, f"{site.name}-{devices}.so").rename(lib / name)
    monkeypatch.setattr(sys, "path", [str(both)])
    monkeypatch.setattr("edge.machine.cuda._LIBRARIES", ("libcudart.so.13", "libcudart.so.12"))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    real = ctypes.CDLL
    monkeypatch.setattr("ctypes.CDLL", lambda name: real(name) if str(tmp_path) in name else _absent(name))
    assert CudaRuntime(find_library()).capability() == (8, 6)
    monkeypatch.setattr(sys, "path", [str(newer)])
    with pytest.raises(MachineError, match="driver is missing or older than this CUDA"):
        CudaRuntime(find_library())


def _absent(name):
    raise OSError(name)


def test_work_that_refuses_to_be_captured_is_run_without_a_graph(library):
    cuda = CudaRuntime(library)
    stream = cuda.stream()

    def refuse() -> None:
        raise MachineError("operation not permitted when stream is capturing")

    assert cuda.capture(stream, refuse) is None
    cuda.synchronize(stream)  # and the stream goes on
    assert cuda.capture(stream, lambda: None) is not None
    with pytest.raises(KeyError):
        cuda.capture(stream, lambda: {}["a bug of ours"])
    cuda.free_stream(stream)
