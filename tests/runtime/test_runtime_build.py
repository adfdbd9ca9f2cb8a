"""The build itself: CTest, with and without the sanitizers, and as a bundle carries the sources."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from runtime_kit import ROOT, build


def ctest(folder: Path) -> None:
    command = ["ctest", "--test-dir", str(folder), "--output-on-failure"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "No tests were found" not in done.stderr


@pytest.mark.slow
def test_sanitizers_find_nothing() -> None:
    build(ROOT / "build" / "runtime-sanitized", "-DSEGEDGE_SANITIZE=ON")
    ctest(ROOT / "build" / "runtime-sanitized")


@pytest.mark.slow
def test_builds_alone_and_without_backends(tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("the C++ runtime needs cmake and a C++17 compiler")
    sources = shutil.copytree(ROOT / "export" / "runtime", tmp_path / "runtime", ignore=shutil.ignore_patterns("tests"))
    off = ["-DSEGEDGE_OPENVINO=OFF", "-DSEGEDGE_TENSORRT=OFF", "-DSEGEDGE_WERROR=ON"]
    for command in (
        ["cmake", "-S", sources, "-B", tmp_path / "build", *off],
        ["cmake", "--build", tmp_path / "build", "--parallel", "2"],
    ):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tiny = ROOT / "export" / "runtime" / "tests" / "data" / "tiny"
    done = subprocess.run(
        [tmp_path / "build" / "segedge-run", "bench", tiny], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "this runtime was built with none" in done.stderr
