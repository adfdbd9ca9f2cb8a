"""The build itself: CTest, with and without the sanitizers, and as a bundle carries the sources."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.runtime_kit import ROOT, Steps, build


def ctest(folder: Path) -> None:
    command = ["ctest", "--test-dir", str(folder), "--output-on-failure"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "No tests were found" not in done.stderr


@pytest.mark.slow
def test_sanitizers_find_nothing() -> None:
    folder = ROOT / "build" / "runtime-sanitized"
    programs = build(folder, "-DSEGEDGE_SANITIZE=ON")
    ctest(folder)
    # No byte outside an image is read or written, however small it is.
    with Steps(programs / "tests" / "segedge-pixels") as steps:
        require_no_byte_outside(steps)


def require_no_byte_outside(steps: Steps) -> None:
    for channels, resize, (height, width), depth in itertools.product(
        ("rgb", "grey"), ("bicubic", "area", "nearest"), ((1, 1), (2, 1), (5, 3), (16, 90)), (1, 3, 4)
    ):
        task = SegmentationTask((16, 24), channels, resize, "minmax")
        shape = (height, width, depth) if depth > 1 else (height, width)
        pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        prepared = steps.prepare(task, pixels)
        assert np.array_equal(prepared, task.preprocess(pixels[..., :3].copy() if depth == 4 else pixels))
        assert steps.finish(task, prepared[:1], (height, width)).shape == (height, width)
    for fit, dtype, resize, (height, width) in itertools.product(
        ("letterbox", "crop", "tile"), ("uint8", "uint16"), ("bicubic", "nearest"), ((1, 1), (2, 1), (5, 3), (16, 90))
    ):
        intensity = Intensity(percentile=(1.0, 99.0)) if dtype == "uint16" else None
        scale = 255.0 if intensity is None else 1.0
        task = SegmentationTask((16, 24), ("a", "b"), resize, scale=scale, fit=fit, intensity=intensity)
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 2)).astype(dtype)
        assert np.array_equal(steps.prepare(task, pixels), task.preprocess(pixels))


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


@pytest.mark.parametrize("name", ("segment.cpp", "segment.c"))
def test_the_readme_shows_the_examples(name: str) -> None:
    folder = ROOT / "export" / "runtime"
    lines = (folder / "examples" / name).read_text().splitlines()
    shown = "\n".join(f"    {line}" if line.strip() else line for line in lines)
    assert shown in (folder / "README.md").read_text()
    assert len(lines) <= 25
