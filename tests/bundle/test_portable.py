"""What travels to a board runs there: Python 3.8, standard library and numpy, nothing that stays behind."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge
from edge.bundle.portable import PACKAGE, PORTABLE, portable_files

ROOT = Path(edge.__file__).parent
STANDARD = set(sys.stdlib_module_names)
# Inside functions only.
LAZY = {"openvino", "onnxruntime", "tensorrt", "tensorrt_rtx", "PIL", "scipy", "pycuda", "cuda", "tomli"}


def _is_typing_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports(tree: ast.Module):
    """Every import that can run, and whether it does so when the file is imported."""
    for top in tree.body:
        if not _is_typing_only(top):
            for node in ast.walk(top):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node, node is top


def _target(name: str, node: ast.ImportFrom) -> list[str]:
    """The files that a relative import names, relative to ``edge/``."""
    package = f"edge.{name.removesuffix('.py').replace('/', '.')}".rpartition(".")[0]
    module = importlib.util.resolve_name("." * node.level + (node.module or ""), package).split(".")[1:]
    path = ROOT.joinpath(*module)
    if path.with_suffix(".py").is_file() and module:
        return ["/".join(module) + ".py"]
    return [
        "/".join([*module, alias.name + ".py" if (path / f"{alias.name}.py").is_file() else "__init__.py"])
        for alias in node.names
    ]


@pytest.mark.parametrize("name", PORTABLE)
def test_a_file_that_travels_is_portable(name):
    text = (ROOT / name).read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    # Built-in generics in annotations are fine on 3.8 only when they are never evaluated.
    assert "from __future__ import annotations" in text or not any(isinstance(n, ast.FunctionDef) for n in tree.body)
    for node, at_once in _imports(tree):
        where = f"{name}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.level:
            assert set(_target(name, node)) <= set(PORTABLE), f"{where}: imports what stays behind"
            continue
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        allowed = STANDARD | {"numpy"} | (set() if at_once else LAZY)
        assert {module.split(".")[0] for module in modules} <= allowed, where
        # numpy 1.17, which JetPack 5 has, lacks it.
        assert not any(module.startswith("numpy.typing") for module in modules), where


@pytest.mark.parametrize("name", PORTABLE)
def test_nothing_is_evaluated_that_3_8_lacks(name):
    """Annotations are text there; aliases, bases and calls are not."""
    tree = ast.parse((ROOT / name).read_text())
    for top in (node for node in tree.body if not _is_typing_only(node)):
        for node in ast.walk(top):
            where = f"{name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Assign) and node in tree.body:
                generic = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Subscript)]
                builtin = {n.id for n in generic if isinstance(n, ast.Name)} & {"dict", "list", "set", "tuple", "type"}
                assert not builtin, f"{where}: a built-in is not subscriptable on 3.8; alias it under TYPE_CHECKING"
            if isinstance(node, ast.ImportFrom):
                assert node.module != "collections.abc", f"{where}: import it from typing, it is not subscriptable"
                newer = {"cache"} if node.module == "functools" else set()
                assert not newer & {alias.name for alias in node.names}, where
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"removeprefix", "removesuffix", "freedesktop_os_release", "bit_count"}, where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
                assert not node.keywords, f"{where}: zip has no strict on 3.8"


def test_every_folder_that_travels_is_a_package():
    folders = {name.rpartition("/")[0] for name in PORTABLE} - {""}
    assert {f"{folder}/__init__.py" for folder in folders} <= set(PORTABLE)
    assert list(PORTABLE) == sorted(set(PORTABLE), key=lambda name: ("/" in name, name))


def test_ruff_holds_what_travels_to_3_8(tmp_path):
    """Files of the same names, each with a statement that 3.8 lacks."""
    shutil.copy(ROOT.parent / "pyproject.toml", tmp_path)
    for name in PORTABLE:
        (tmp_path / "edge" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "edge" / name).write_text("match 1:\n    case 1:\n        pass\n")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "edge"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    held = {line.partition(":")[0] for line in done.stdout.splitlines() if "on Python 3.8" in line}
    assert held == {f"edge/{name}" for name in PORTABLE}, "add it to per-file-target-version in pyproject.toml"


def test_the_package_starts_where_it_lies_and_imports_itself_only(tmp_path):
    for name, contents in portable_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(contents)
    modules = [f"{PACKAGE}.{name.removesuffix('.py').replace('/', '.')}" for name in PORTABLE if "__" not in name]
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; assert 'edge' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    done = subprocess.run([sys.executable, "-m", PACKAGE, "info"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "is not an unpacked bundle" in done.stderr
