"""One file per compiler behind one small protocol (``engine.py``). Compilers are imported when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from edge.backends.engine import Backend
from edge.errors import InputError

_CLASSES: Mapping[str, str] = {
    "onnxruntime": "OnnxRuntime",
    "openvino": "OpenVino",
    "tensorrt": "TensorRt",
    "tensorrt_rtx": "TensorRtRtx",
    "torch_tensorrt": "TorchTensorRt",
}


def find_backend(name: str) -> Backend:
    """One backend by its module's name.

    Raises:
        InputError: no such backend.
    """
    if name not in _CLASSES:
        raise InputError(f"backend {name!r}: unknown; known backends are {', '.join(_CLASSES)}")
    backend: Backend = getattr(import_module(f"edge.backends.{name}"), _CLASSES[name])()
    return backend
