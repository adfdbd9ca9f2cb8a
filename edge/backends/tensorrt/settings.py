"""How to drive each TensorRT from 8.5 to 11: one table of what differs, turned into settings by one pure function.

Nothing here imports TensorRT; :mod:`.build` applies the settings to whichever module is installed. Read from
NVIDIA/TensorRT's Python bindings and headers at its tags 8.5.3 to v11.1 and, for TensorRT for RTX, from its samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

from ...errors import InputError

Version = Tuple[int, int]

ENTERPRISE, RTX = "tensorrt", "tensorrt_rtx"
_OLDEST: Version = (8, 5)
_UNREAD: Version = (12, 0)
_UNRELEASED = 9  # never public for these devices
_RTX_READ = (1, 7)  # newest TensorRT for RTX that was tested

# What differs: name in the Python module to (first version with it, first version without it).
_LIFE: dict[str, tuple[Version, Version]] = {
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": ((8, 5), (11, 0)),
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": ((10, 0), _UNREAD),
    "BuilderFlag.FP16": ((8, 5), (11, 0)),
    "BuilderFlag.INT8": ((8, 5), (11, 0)),
    "BuilderFlag.OBEY_PRECISION_CONSTRAINTS": ((8, 5), (11, 0)),
    "OnnxParserFlag.NATIVE_INSTANCENORM": ((8, 6), _UNREAD),
    "IBuilderConfig.builder_optimization_level": ((8, 6), _UNREAD),
    "ICudaEngine.device_memory_size": ((8, 5), (10, 1)),
    "ICudaEngine.device_memory_size_v2": ((10, 1), _UNREAD),
    "IRuntime.engine_host_code_allowed": ((8, 6), _UNREAD),
    "inspector list named Bindings": ((8, 5), (11, 0)),
}


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        typed: whether the graph's own types give the precision (FP16 tensors and scales).
        int8: whether it has quantize and dequantize nodes.
        fp16: whether what is not quantized shall run in FP16.
        workspace: bytes the builder may use for scratch memory.
        wide: names of nodes that compute in FP32 whatever flags allow; a typed graph says that itself.
    """

    typed: bool
    int8: bool
    fp16: bool
    workspace: int
    wide: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What to ask of one TensorRT, by the names of its Python module.

    Attributes:
        network_flags: of ``create_network``.
        parser_flags: of the ONNX parser.
        on, off: builder flags to set and to clear.
        workspace: of the memory pool WORKSPACE, bytes.
        properties: of the builder's configuration.
        plugins: whether NVIDIA's plugins must be registered before parsing.
        timing_cache: whether the builder keeps one (TensorRT for RTX asks for a GPU when given one).
        memory_size: name of the engine's scratch size.
        io_list: name of the inspector's list of inputs and outputs.
        host_code: whether the runtime has to be told that engines bring no host code.
        wide: names of nodes whose layers are held to FP32.
    """

    network_flags: tuple[str, ...]
    parser_flags: tuple[str, ...]
    on: tuple[str, ...]
    off: tuple[str, ...]
    workspace: int
    properties: tuple[tuple[str, int], ...]
    plugins: bool
    timing_cache: bool
    memory_size: str
    io_list: str
    host_code: bool
    wide: tuple[str, ...] = ()


def parse_version(text: str) -> Version:
    """``"10.16.2.5"`` to ``(10, 16)``.

    Raises:
        InputError: not a version.
    """
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise InputError(f"TensorRT {text!r}: not a version")
    return int(found.group(1)), int(found.group(2))


def has(version: Version, name: str) -> bool:
    """Whether a version has what the table calls by this name."""
    first, gone = _LIFE[name]
    return first <= version < gone


def find_settings(version: str, wish: BuildRequest, flavour: str = ENTERPRISE) -> Settings:
    """Settings for one version.

    Args:
        version: such as ``8.5.2.2`` or ``10.3``, as the module's ``__version__`` says it.
        wish: what to build.
        flavour: ``tensorrt`` or ``tensorrt_rtx``.

    Raises:
        InputError: this version cannot build that, in one sentence.
    """
    number = parse_version(version)
    if flavour == RTX:
        return _rtx_settings(number, wish)
    if number < _OLDEST or number >= _UNREAD or number[0] == _UNRELEASED:
        raise InputError(f"TensorRT {version}: only 8.5 to 11 are known, without 9; install one of those")
    can_type = has(number, "NetworkDefinitionCreationFlag.STRONGLY_TYPED")
    can_flag = has(number, "BuilderFlag.FP16")
    if wish.typed and not can_type:
        raise InputError(f"TensorRT {version} is not strongly typed: give it the FP32 graph")
    if wish.fp16 and not wish.typed and not can_flag:
        raise InputError(f"TensorRT {version} has no FP16 flag: FP16 must be written into the graph")
    strong = wish.typed or not can_flag
    flags: tuple[str, ...] = ("FP16",) if wish.fp16 else ()
    flags += ("INT8",) if wish.int8 else ()
    wide = () if strong else wish.wide
    flags += ("OBEY_PRECISION_CONSTRAINTS",) if wide else ()
    on: tuple[str, ...] = () if strong else flags
    return Settings(
        network_flags=("STRONGLY_TYPED",) if strong else ("EXPLICIT_BATCH",),
        parser_flags=("NATIVE_INSTANCENORM",) if has(number, "OnnxParserFlag.NATIVE_INSTANCENORM") else (),
        on=on,
        off=("TF32",),  # TF32 keeps 10 bits of the mantissa: not what anyone calls FP32
        workspace=wish.workspace,
        properties=(),
        plugins=number < (10, 0),
        timing_cache=True,
        memory_size=_first(number, "ICudaEngine.", ("device_memory_size", "device_memory_size_v2")),
        io_list="Bindings" if has(number, "inspector list named Bindings") else "I/O Tensors",
        host_code=has(number, "IRuntime.engine_host_code_allowed"),
        wide=wide,
    )


def _rtx_settings(number: Version, wish: BuildRequest) -> Settings:
    if number[0] != _RTX_READ[0]:
        raise InputError("TensorRT for RTX {}.{}: only 1.x is known".format(*number))
    if wish.fp16 and not wish.typed:
        raise InputError("TensorRT for RTX has no FP16 flag: FP16 must be written into the graph")
    return Settings(
        network_flags=("STRONGLY_TYPED",),
        parser_flags=(),
        on=(),
        off=("TF32",),
        workspace=wish.workspace,
        properties=(),
        plugins=False,
        timing_cache=False,
        memory_size="device_memory_size_v2",
        io_list="I/O Tensors",
        host_code=False,
    )


def _first(number: Version, prefix: str, names: tuple[str, ...]) -> str:
    return next(name for name in names if has(number, prefix + name))
