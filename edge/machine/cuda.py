"""Device memory, streams, events and graphs, behind one small interface.

:class:`CudaRuntime` calls ``libcudart`` through ctypes, so a device needs no compiler and no package. :class:`PyCuda`
is used instead where ``pycuda`` is installed and a context of it is wanted (it shares the primary context). Pointers,
streams and events are plain integers in both.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from typing import Any, Callable, Sequence

import numpy as np

from ..errors import MachineError

_LIBRARIES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
_TOOLKIT_FOLDER = "/usr/local/cuda/lib64/"
_WHEEL_FOLDERS = ("/nvidia/cuda_runtime/lib/", "/nvidia/cu13/lib/")  # up to CUDA 12, and from 13 on
_TO_DEVICE, _TO_HOST = 1, 2
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, -Minor
_CAPTURE_THREAD_LOCAL = 1
_BUS_ID_BYTES = 32  # an address has 13
_DRIVER_TOO_OLD = 35
_NO_DRIVER = {
    _DRIVER_TOO_OLD: "the NVIDIA driver is missing or older than this CUDA: install a driver",
    100: "there is no NVIDIA GPU on this machine",
}


class Cuda:
    """What a runner needs of a GPU. Sizes in bytes, times in milliseconds."""

    name = ""

    def malloc(self, size: int) -> int:
        """Device memory; freed by :meth:`free`."""
        raise NotImplementedError

    def free(self, pointer: int) -> None:
        """Free device memory."""
        raise NotImplementedError

    def pinned(self, shape: Sequence[int], dtype: Any) -> Any:
        """A page-locked numpy array, which copies to the device without a detour; freed by :meth:`free_pinned`."""
        raise NotImplementedError

    def free_pinned(self, array: Any) -> None:
        """Free a pinned array."""
        raise NotImplementedError

    def stream(self) -> int:
        """A new stream."""
        raise NotImplementedError

    def free_stream(self, stream: int) -> None:
        """Free a stream."""
        raise NotImplementedError

    def synchronize(self, stream: int) -> None:
        """Wait for everything on a stream."""
        raise NotImplementedError

    def to_device(self, pointer: int, array: Any, stream: int) -> None:
        """Copy an array to device memory, in stream order."""
        raise NotImplementedError

    def to_host(self, array: Any, pointer: int, stream: int) -> None:
        """Copy device memory to an array, in stream order."""
        raise NotImplementedError

    def event(self) -> int:
        """A new event."""
        raise NotImplementedError

    def free_event(self, event: int) -> None:
        """Free an event."""
        raise NotImplementedError

    def record(self, event: int, stream: int) -> None:
        """Mark this point of a stream."""
        raise NotImplementedError

    def elapsed(self, start: int, end: int) -> float:
        """Milliseconds between two recorded events, once both have passed."""
        raise NotImplementedError

    def capture(self, stream: int, work: Callable[[], None]) -> int | None:
        """Record what ``work`` puts on a stream as a graph; None where graphs are not to be had."""
        raise NotImplementedError

    def launch(self, graph: int, stream: int) -> None:
        """Run a graph."""
        raise NotImplementedError

    def free_graph(self, graph: int) -> None:
        """Free a graph."""
        raise NotImplementedError

    def capability(self) -> tuple[int, int]:
        """Compute capability of the GPU."""
        raise NotImplementedError

    def bus_id(self) -> str:
        """PCI address of the GPU, such as ``0000:65:00.0``: what tells it from others under every library's numbers."""
        raise NotImplementedError

    def memory(self) -> tuple[int, int]:
        """Free and total device memory."""
        raise NotImplementedError


def open_cuda(prefer: str = "") -> Cuda:
    """The GPU of this machine.

    Args:
        prefer: ``pycuda`` or ``cudart``; "" takes libcudart and falls back on pycuda.

    Raises:
        MachineError: no driver, no GPU, or neither library.
    """
    if prefer == "pycuda":
        return PyCuda()
    try:
        return CudaRuntime(find_library())
    except OSError:
        if prefer == "cudart":
            raise MachineError("libcudart is missing: install the CUDA runtime") from None
    try:
        return PyCuda()
    except ImportError:
        raise MachineError(
            "neither libcudart nor pycuda is here: install the CUDA runtime, or pip install pycuda"
        ) from None


def find_library() -> Any:
    """Load libcudart: of the newest CUDA here that the driver serves.

    Raises:
        OSError: it is not here.
    """
    found = ctypes.util.find_library("cudart")
    names = [folder + name for name in _LIBRARIES for folder in ("", *_folders())] + ([found] if found else [])
    first = None
    for name in names:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if library.cudaGetDeviceCount(ctypes.byref(ctypes.c_int())) != _DRIVER_TOO_OLD:
            return library
        first = first or library  # an older CUDA may be here as well
    if first is None:
        raise OSError("libcudart not found")
    return first


def _folders() -> Sequence[str]:
    """Where libcudart may lie out of the loader's sight: the toolkit, and the wheels that TensorRT's wheels bring."""
    inside = [entry + folder for entry in sys.path if entry for folder in _WHEEL_FOLDERS]
    return (_TOOLKIT_FOLDER, *inside)


class CudaRuntime(Cuda):
    """libcudart, 11.4 or newer, through ctypes.

    Args:
        library: as :func:`find_library` loads it.
    """

    name = "cudart"

    def __init__(self, library: Any) -> None:
        self._library = library
        library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int()
        self._call("cudaGetDeviceCount", ctypes.byref(count))
        if not count.value:
            raise MachineError(_NO_DRIVER[100])

    def malloc(self, size: int) -> int:
        return self._made("cudaMalloc", ctypes.c_size_t(size))

    def free(self, pointer: int) -> None:
        self._call("cudaFree", ctypes.c_void_p(pointer))

    def pinned(self, shape: Sequence[int], dtype: Any) -> Any:
        kind, count = np.dtype(dtype), int(np.prod(shape))
        pointer = self._made("cudaMallocHost", ctypes.c_size_t(count * kind.itemsize))
        buffer = (ctypes.c_byte * (count * kind.itemsize)).from_address(pointer)
        return np.frombuffer(buffer, dtype=kind).reshape(tuple(shape))

    def free_pinned(self, array: Any) -> None:
        self._call("cudaFreeHost", ctypes.c_void_p(array.ctypes.data))

    def stream(self) -> int:
        return self._made("cudaStreamCreate")

    def free_stream(self, stream: int) -> None:
        self._call("cudaStreamDestroy", ctypes.c_void_p(stream))

    def synchronize(self, stream: int) -> None:
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def to_device(self, pointer: int, array: Any, stream: int) -> None:
        self._copy(pointer, array.ctypes.data, array.nbytes, _TO_DEVICE, stream)

    def to_host(self, array: Any, pointer: int, stream: int) -> None:
        self._copy(array.ctypes.data, pointer, array.nbytes, _TO_HOST, stream)

    def event(self) -> int:
        return self._made("cudaEventCreate")

    def free_event(self, event: int) -> None:
        self._call("cudaEventDestroy", ctypes.c_void_p(event))

    def record(self, event: int, stream: int) -> None:
        self._call("cudaEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(stream))

    def elapsed(self, start: int, end: int) -> float:
        milliseconds = ctypes.c_float()
        self._call("cudaEventElapsedTime", ctypes.byref(milliseconds), ctypes.c_void_p(start), ctypes.c_void_p(end))
        return float(milliseconds.value)

    def capture(self, stream: int, work: Callable[[], None]) -> int | None:
        self._call("cudaStreamBeginCapture", ctypes.c_void_p(stream), ctypes.c_int(_CAPTURE_THREAD_LOCAL))
        graph = ctypes.c_void_p()
        worked = False
        try:
            work()
            worked = True
        except MachineError:  # TensorRT refuses to be captured: some layer waits for the device
            pass
        finally:
            status = self._library.cudaStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))
        if not worked or status or not graph.value:  # something in it cannot be captured: run without a graph
            self._library.cudaGetLastError()
            if graph.value:
                self._call("cudaGraphDestroy", graph)
            return None
        try:
            runnable = ctypes.c_void_p()
            flags = ctypes.c_ulonglong(0)
            self._call("cudaGraphInstantiateWithFlags", ctypes.byref(runnable), graph, flags)
        finally:
            self._call("cudaGraphDestroy", graph)
        return int(runnable.value or 0)

    def launch(self, graph: int, stream: int) -> None:
        self._call("cudaGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def free_graph(self, graph: int) -> None:
        self._call("cudaGraphExecDestroy", ctypes.c_void_p(graph))

    def capability(self) -> tuple[int, int]:
        return self._attribute(_MAJOR), self._attribute(_MINOR)

    def bus_id(self) -> str:
        text = ctypes.create_string_buffer(_BUS_ID_BYTES)
        self._call("cudaDeviceGetPCIBusId", text, ctypes.c_int(len(text)), self._device())
        return text.value.decode()

    def memory(self) -> tuple[int, int]:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return int(free.value), int(total.value)

    def _attribute(self, which: int) -> int:
        value = ctypes.c_int()
        self._call("cudaDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(which), self._device())
        return int(value.value)

    def _device(self) -> ctypes.c_int:
        """The GPU that this thread uses."""
        device = ctypes.c_int()
        self._call("cudaGetDevice", ctypes.byref(device))
        return device

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            ctypes.c_void_p(stream),
        )

    def _made(self, function: str, *arguments: Any) -> int:
        made = ctypes.c_void_p()
        self._call(function, ctypes.byref(made), *arguments)
        return int(made.value or 0)

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            text = self._library.cudaGetErrorString(ctypes.c_int(status))
            reason = _NO_DRIVER.get(status) or "{} failed: {}".format(function, (text or b"unknown error").decode())
            raise MachineError(reason)


class PyCuda(Cuda):
    """``pycuda`` on the device's primary context. It has no stream capture, so no graphs.

    Raises:
        ImportError: pycuda is not installed.
        MachineError: no driver or no GPU.
    """

    name = "pycuda"

    def __init__(self) -> None:
        import pycuda.driver as driver

        try:
            driver.init()
            self._device = driver.Device(0)
        except driver.Error as error:
            raise MachineError(f"there is no usable NVIDIA GPU on this machine ({error})") from None
        self._driver = driver
        self._context = self._device.retain_primary_context()
        self._context.push()
        self._kept: dict[int, Any] = {}

    def malloc(self, size: int) -> int:
        return self._keep(int(allocation := self._driver.mem_alloc(size)), allocation)

    def free(self, pointer: int) -> None:
        self._kept.pop(pointer).free()

    def pinned(self, shape: Sequence[int], dtype: Any) -> Any:
        return self._driver.pagelocked_empty(tuple(shape), np.dtype(dtype))

    def free_pinned(self, array: Any) -> None:
        array.base.free()

    def stream(self) -> int:
        stream = self._driver.Stream()
        return self._keep(int(stream.handle), stream)

    def free_stream(self, stream: int) -> None:
        self._kept.pop(stream)

    def synchronize(self, stream: int) -> None:
        self._kept[stream].synchronize()

    def to_device(self, pointer: int, array: Any, stream: int) -> None:
        self._driver.memcpy_htod_async(pointer, array, self._kept[stream])

    def to_host(self, array: Any, pointer: int, stream: int) -> None:
        self._driver.memcpy_dtoh_async(array, pointer, self._kept[stream])

    def event(self) -> int:
        event = self._driver.Event()
        return self._keep(id(event), event)

    def free_event(self, event: int) -> None:
        self._kept.pop(event)

    def record(self, event: int, stream: int) -> None:
        self._kept[event].record(self._kept[stream])

    def elapsed(self, start: int, end: int) -> float:
        return float(self._kept[start].time_till(self._kept[end]))

    def capture(self, stream: int, work: Callable[[], None]) -> int | None:
        return None

    def launch(self, graph: int, stream: int) -> None:
        raise MachineError("pycuda has no CUDA graphs: run without one")

    def free_graph(self, graph: int) -> None:
        raise MachineError("pycuda has no CUDA graphs: run without one")

    def capability(self) -> tuple[int, int]:
        major, minor = self._device.compute_capability()
        return int(major), int(minor)

    def bus_id(self) -> str:
        return str(self._device.pci_bus_id())

    def memory(self) -> tuple[int, int]:
        free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def _keep(self, key: int, value: Any) -> int:
        self._kept[key] = value
        return key
