"""The device's half must run on JetPack 5: Python 3.8 syntax, standard library and numpy, nothing else of edge."""

import ast
from pathlib import Path

import pytest

import edge.device

FOLDER = Path(edge.device.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))
STANDARD = set(__import__("sys").stdlib_module_names)
COMPILERS = {"openvino", "tensorrt", "tensorrt_rtx", "PIL", "pycuda", "cuda"}  # imported inside functions only


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_parses_as_python_3_8(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_imports_nothing_but_the_standard_library_and_numpy(path):
    tree = ast.parse(path.read_text())
    top_level = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level == 1:
                continue
            roots = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Import):
            roots = {alias.name.split(".")[0] for alias in node.names}
        else:
            continue
        allowed = STANDARD | {"numpy"} | (set() if id(node) in top_level else COMPILERS)
        assert roots <= allowed, f"{path.name}:{node.lineno}"


def test_postponed_annotations_everywhere():
    # Built-in generics in annotations are fine on 3.8 only when they are never evaluated.
    for path in FILES:
        if path.name != "__init__.py":
            assert "from __future__ import annotations" in path.read_text(), path.name
