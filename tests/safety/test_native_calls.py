"""Every call into a library's native code, over what a file may hold, is within the limit of seconds.

Held over the source: a native call stands inside a guard, or in a function that counts as a native call itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from tests.fixtures.runtime_kit import ROOT

GUARDS = frozenset(("native_call", "openvino_faults", "running", "faults"))
"""Context managers that watch; all but the first do so by way of it."""
NATIVE = frozenset((
    "AsyncInferQueue", "compile_model", "core().read_model", "get_runtime_model", "infer", "save_model", "start_async",
    "wait_all",  # OpenVINO
    "InferenceSession", "session.run", "_session.run",  # ONNX Runtime
    "ShapeInferencePass", "check_model", "convert_version", "fold_constants", "shape_inference.infer_shapes",
    "onnxsim.simplify",  # onnx
    "build_serialized_network", "deserialize_cuda_engine", "execute_async_v3", "parser.parse",  # TensorRT
    "convert_exported_program_to_serialized_trt_engine", "torch.export.export", "torch.load", "load_file",  # PyTorch
))  # fmt: skip
"""Native calls, with what stands before the dot where the name alone says too little."""
STANDING_FOR: Mapping[str, tuple[str, ...]] = {
    "edge/backends/openvino/network.py": (
        "read_network", "save_network", "compile_network", "_runtime_nodes", "LayerProfiler",
    ),
    "edge/backends/openvino/runner.py": ("OpenVinoRunner",),
    "edge/backends/openvino/pixels.py": ("OpenVinoPixels",),
    "edge/backends/tensorrt/build.py": ("build_plan",),
    "edge/backends/tensorrt/run.py": ("TensorRtRunner",),
}  # fmt: skip
"""Functions and classes without a guard of their own, by file: whoever calls them has to hold one."""
METHODS: Mapping[str, tuple[str, ...]] = {
    "edge/backends/openvino/runner.py": ("self._run", "self._open", "opened", "_profiler.layers"),
    "edge/backends/session.py": ("self._run",),
    "edge/backends/tensorrt/runner.py": (
        "_runner.run", "_runner.time", "_runner.layer_times", "_runner.describe",
    ),
}  # fmt: skip
"""The same of methods, by the file that calls them."""
LET_OFF: Mapping[str, str] = {
    "edge/latency/peaks.py": "its graph is our own, one convolution",
    "edge/backends/openvino/network.py": "all of it stands for native calls",
    "edge/backends/tensorrt/run.py": "all of it stands for native calls, but what says otherwise",
}
"""Files that are not held, with the reason."""


def test_every_native_call_of_the_package_is_watched() -> None:
    found = []
    for path in sorted((ROOT / "edge").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name not in LET_OFF:
            unwatched = _unwatched(path.read_text(), STANDING_FOR.get(name, ()), METHODS.get(name, ()))
            found += [f"{name}: {one}" for one in unwatched]
    assert found == []


def test_what_stands_for_native_calls_is_still_there() -> None:
    for name, standing in STANDING_FOR.items():
        known = {n.name for n in ast.walk(ast.parse((ROOT / name).read_text())) if isinstance(n, _NAMED)}
        assert {*standing} <= known, name


def test_an_unwatched_call_is_found() -> None:
    assert _unwatched("def go(core):\n    return core.compile_model(1)\n") == ["compile_model, line 2"]
    assert _unwatched("with native_call('a', 'b'):\n    core.compile_model(1)\ncore.compile_model(1)\n") == [
        "compile_model, line 3"
    ]
    method = "def go(self):\n    return clocked(self._run, 1)\n"
    assert _unwatched(method, (), ("self._run",)) == ["self._run, line 2"] and _unwatched(method) == []
    assert _unwatched("def build_plan():\n    builder.build_serialized_network(1)\n", ("build_plan",)) == []


_NAMED = (ast.FunctionDef, ast.ClassDef)
_STANDING = frozenset(name for names in STANDING_FOR.values() for name in names)


def _unwatched(source: str, standing: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> list[str]:
    """Native calls outside guards, other than in what stands for one."""
    spared = {*standing, *(name.removeprefix("self.") for name in methods)}
    native = {*NATIVE, *_STANDING, *methods}
    return [
        f"{sorted(made)[0]}, line {call.lineno}"
        for call, watched in _calls(ast.parse(source), spared)
        if not watched and (made := native & _names(call))
    ]


def _calls(node: ast.AST, spared: set[str], watched: bool = False) -> Iterator[tuple[ast.Call, bool]]:
    """Every call, and whether it is watched, or in a function or a class's constructor that is spared."""
    if isinstance(node, ast.Call):
        yield node, watched
    if isinstance(node, ast.FunctionDef):  # what it is defined in does not run it
        watched = node.name in spared
    guarded = isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call) and _names(item.context_expr) & GUARDS for item in node.items
    )
    if isinstance(node, ast.ClassDef) and node.name in spared:
        spared = {*spared, "__init__"}
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, spared, watched or (guarded and not isinstance(child, ast.withitem)))


def _names(call: ast.Call) -> set[str]:
    """A call's name, also with what stands before it; and functions that it is given to call."""
    whole = [ast.unparse(call.func)] + [ast.unparse(a) for a in call.args if isinstance(a, (ast.Name, ast.Attribute))]
    parts = [text.split(".") for text in whole]
    return {".".join(words[-count:]) for words in parts for count in (1, 2, 3) if count <= len(words)}
