"""Power of the NVIDIA GPU that engines run on, as the driver's management library (NVML) tells it, through ctypes.

``nvmlDeviceGetPowerUsage`` gives milliwatts of the whole board, averaged over up to a second on recent GPUs: only means
over seconds mean anything. The GPU is found by its PCI address, since CUDA and NVML number several in different orders.
A Jetson's NVML does not answer; its monitors are in :mod:`edge.machine.rails`.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edge.machine.rails import Rail

_LIBRARY = "libnvidia-ml.so.1"


def find_gpu_rail(bus_id: str, library: Any = None) -> Rail | None:
    """The GPU's power as a rail that reads watts; None where nobody tells.

    Args:
        bus_id: the GPU's PCI address, such as ``0000:65:00.0``.
        library: loaded NVML; None loads the driver's.
    """
    try:
        nvml = library or ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    device = ctypes.c_void_p()
    address = ctypes.c_char_p(bus_id.encode())
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByPciBusId_v2(address, ctypes.byref(device)):
        return None

    def watts() -> float | None:
        milliwatts = ctypes.c_uint()
        status = nvml.nvmlDeviceGetPowerUsage(device, ctypes.byref(milliwatts))
        return None if status else milliwatts.value / 1e3

    return Rail(f"NVML GPU {bus_id}", watts) if watts() is not None else None
