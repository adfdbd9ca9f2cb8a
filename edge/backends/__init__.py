"""One file per compiler behind one small protocol (``engine.py``). Compilers are imported when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from edge.backends.engine import Backend
from edge.errors import InputError

# Name in engine.json and in targets/*.toml -> where its class is.
_CLASSES: Mapping[str, tuple[str, str]] = {
    "onnxruntime": ("edge.backends.onnxruntime", "OnnxRuntime"),
    "openvino": ("edge.backends.openvino.backend", "OpenVino"),
    "tensorrt": ("edge.backends.tensorrt.backend", "TensorRt"),
    "tensorrt_rtx": ("edge.backends.tensorrt.rtx", "TensorRtRtx"),
    "torch_tensorrt": ("edge.backends.tensorrt.torch", "TorchTensorRt"),
}


def find_backend(name: str) -> Backend:
    """One backend by its module's name.

    Raises:
        InputError: no such backend.
    """
    if name not in _CLASSES:
        raise InputError(f"backend {name!r}: unknown; known backends are {', '.join(_CLASSES)}")
    module, class_name = _CLASSES[name]
    backend: Backend = getattr(import_module(module), class_name)()
    return backend
