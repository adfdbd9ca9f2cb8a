"""One file per compiler behind one small protocol (``engine.py``). Compilers are imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Mapping

from ..errors import InputError

if TYPE_CHECKING:
    from .engine import Backend

# Name in engine.json and in targets/*.toml -> where its class is.
_CLASSES: Mapping[str, tuple[str, str]] = {
    "arm_cpu": (".arm.backend", "ArmCpu"),
    "onnxruntime": (".onnxruntime", "OnnxRuntime"),
    "openvino": (".openvino.backend", "OpenVino"),
    "tensorrt": (".tensorrt.backend", "TensorRt"),
    "tensorrt_rtx": (".tensorrt.rtx", "TensorRtRtx"),
    "torch_tensorrt": (".tensorrt.torch", "TorchTensorRt"),
}


def find_backend(name: str) -> Backend:
    """One backend by its module's name.

    Raises:
        InputError: no such backend.
    """
    if name not in _CLASSES:
        raise InputError(f"backend {name!r}: unknown; known backends are {', '.join(_CLASSES)}")
    module, class_name = _CLASSES[name]
    backend: Backend = getattr(import_module(module, __package__), class_name)()
    return backend
