"""Every TensorRT name that ``edge`` uses, held against the API recorded from the real wheels, 8.5 to 11.4 and RTX."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge
from edge.backends.tensorrt.settings import ENTERPRISE, BuildRequest, find_settings
from edge.backends.tensorrt.settings import RTX as RTX_FLAVOUR
from edge.errors import InputError
from tests.fixtures.tensorrt.api import RTX, read_api, recorded_versions

# What our variables hold: the last part of a dotted expression to its class.
_HOLDS = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "_engine": "ICudaEngine",
    "context": "IExecutionContext",
    "_context": "IExecutionContext",
    "inspector": "EngineInspector",
}
# Used only after a feature test or for one flavour; each is absent from at least one version.
_GUARDED = {
    "OnnxParser.set_flag",  # only with flags to set
    "Runtime.engine_host_code_allowed",  # hasattr
    "IBuilderConfig.num_compute_capabilities",  # TensorRT for RTX builds for GPUs that are not here
    "IBuilderConfig.set_compute_capability",
}
_WITHOUT_FLAGS = "8.6.0"  # its C++ parser has the flag and its Python has no OnnxParserFlag; set only where it is there


def test_names_are_there_in_every_version() -> None:
    used = _used_names()
    assert {"Builder", "OnnxParser.parse", "IExecutionContext.execute_async_v3", "TensorIOMode.INPUT"} <= used
    for version in recorded_versions():
        missing = used - set(read_api(version)) - _GUARDED
        assert not missing, f"TensorRT {version} has no {', '.join(sorted(missing))}"


def test_guards_guard_something() -> None:
    used = _used_names()
    for name in _GUARDED:
        having = [version for version in recorded_versions() if name in read_api(version)]
        assert name in used, f"{name}: nothing uses it; take it off the list"
        assert 0 < len(having) < len(recorded_versions())


@pytest.mark.parametrize("version", recorded_versions())
def test_settings_name_what_the_version_has(version: str) -> None:
    api, flavour = read_api(version), RTX_FLAVOUR if version == RTX else ENTERPRISE
    found = 0
    for typed, int8, fp16 in itertools.product((False, True), repeat=3):
        request = BuildRequest(typed=typed, int8=int8, fp16=fp16, workspace=1 << 28)
        try:
            settings = find_settings(version.removeprefix("rtx-"), request, flavour)
        except InputError:
            continue
        found += 1
        names = [
            *(f"NetworkDefinitionCreationFlag.{flag}" for flag in settings.network_flags),
            *(f"OnnxParserFlag.{flag}" for flag in settings.parser_flags if version != _WITHOUT_FLAGS),
            *(f"BuilderFlag.{flag}" for flag in (*settings.on, *settings.off)),
            *(f"IBuilderConfig.{name}" for name, _ in settings.properties),
            f"ICudaEngine.{settings.memory_size}",
        ]
        assert not [name for name in names if name not in api], (version, request)
        assert not settings.host_code or "Runtime.engine_host_code_allowed" in api
    assert found >= 2


def _used_names() -> set[str]:
    names: set[str] = set()
    for path in Path(edge.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if not re.search(r"\btrt\b", text):
            continue
        for function in _functions(ast.parse(text)):
            ours = _own_variables(function)
            for node in ast.walk(function):
                name = _recorded_name(node, ours) if isinstance(node, ast.Attribute) else None
                if name is not None:
                    names.add(name)
    return names


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions and methods, each with the functions inside it."""
    for node in tree.body:
        for inner in (node, *(node.body if isinstance(node, ast.ClassDef) else ())):
            if isinstance(inner, ast.FunctionDef):
                yield inner


def _own_variables(function: ast.FunctionDef) -> set[str]:
    """Variables that hold something of ours, though named as TensorRT's elsewhere: typed, or made by our calls."""
    arguments = (*function.args.args, *function.args.kwonlyargs)
    ours = {one.arg for one in arguments if one.annotation is not None and ast.unparse(one.annotation) != "Any"}
    makers = {"make_object"} | {name.rsplit(".", 1)[-1] for one in recorded_versions() for name in read_api(one)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made_by = ast.unparse(node.value.func).rsplit(".", 1)[-1]
            ours.update(name.id for name in node.targets if isinstance(name, ast.Name) and made_by not in makers)
    return ours


def _recorded_name(node: ast.Attribute, ours: set[str]) -> str | None:
    """``trt.A.B`` as ``A.B``, and ``parser.parse`` as ``OnnxParser.parse``; None for anything else."""
    parts = ast.unparse(node).split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for root in ("trt", "_trt"):
        if root in parts[:-1]:
            return ".".join(parts[parts.index(root) + 1 :])
    holder = None if parts[-2] in ours else _HOLDS.get(parts[-2])
    return f"{holder}.{parts[-1]}" if holder else None
