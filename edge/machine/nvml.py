"""Power of the first NVIDIA GPU, as the driver's management library (NVML) tells it, through ctypes.

``nvmlDeviceGetPowerUsage`` gives milliwatts of the whole board, averaged over up to a second on recent GPUs: only means
over seconds mean anything. A Jetson's NVML does not answer; its monitors are in :mod:`edge.machine.rails`.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edge.machine.rails import Rail

_LIBRARY = "libnvidia-ml.so.1"
NAME = "NVML GPU 0"


def find_gpu_rail(library: Any = None) -> Rail | None:
    """The GPU's power as a rail that reads watts; None where nobody tells.

    Args:
        library: loaded NVML; None loads the driver's.
    """
    try:
        nvml = library or ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    device = ctypes.c_void_p()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(0), ctypes.byref(device)):
        return None

    def watts() -> float | None:
        milliwatts = ctypes.c_uint()
        status = nvml.nvmlDeviceGetPowerUsage(device, ctypes.byref(milliwatts))
        return None if status else milliwatts.value / 1e3

    return Rail(NAME, watts) if watts() is not None else None
