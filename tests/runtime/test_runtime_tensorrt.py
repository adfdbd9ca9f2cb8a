"""The C++ runtime's TensorRT backend, run end to end against a double of TensorRT and of CUDA.

Its plans are those of the double's Python half and are computed by the same code, so masks must be those of the Python
backend to the pixel: what is shown is that buffers, streams, copies, graphs and errors are handled; nothing about a
GPU's numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge
from edge.task.task import SegmentationTask
from tests.fixtures.runtime_kit import make_engine
from tests.fixtures.tensorrt.cpp_double import link_runtime, make_plan
from tests.fixtures.tensorrt.install import installed

Run = Callable[..., subprocess.CompletedProcess[str]]
TASK = SegmentationTask((48, 64), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), classes=("nucleus",))
ORIN, RTX = "10.3.0", "rtx-1.7.1.116"
pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tensorrt")


@pytest.fixture(scope="module")
def runs(programs: Path, place: Path) -> Run:
    program = link_runtime(programs, place / "program", ORIN)

    def call(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        line = [str(program), *map(str, words)]
        return subprocess.run(
            line, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
        )

    return call


def pictures(folder: Path) -> list[Path]:
    random = np.random.default_rng(3)
    folder.mkdir()
    paths = []
    for index, shape in enumerate([(48, 64, 3), (1, 1, 3), (200, 31, 3), (101, 77)]):
        paths.append(folder / f"{index}.png")
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.mark.parametrize("refused", ["", "1"], ids=["graph", "call by call"])
def test_masks_are_those_of_python_to_the_pixel(runs: Run, tmp_path: Path, refused: str) -> None:
    environment = {"CUDA_DOUBLE_REFUSES_CAPTURE": refused} if refused else {}
    engine, images = make_plan(tmp_path / "plan", TASK, ORIN), pictures(tmp_path / "images")
    done = runs("infer", engine.folder, *images, "--out", tmp_path / "masks", **environment)
    assert done.returncode == 0, done.stderr
    with installed(ORIN):
        edge.segment(engine.folder, images, out=tmp_path / "python")
    differing = foreground = 0
    for image in images:
        one, two = (np.asarray(Image.open(tmp_path / kind / image.name)) for kind in ("python", "masks"))
        foreground += int(np.sum(one > 0))
        differing += int(np.sum(one != two))
    assert differing == 0 < foreground
    done = runs("bench", engine.folder, "--seconds", "0.05", "--json", **environment)
    assert done.returncode == 0, done.stderr  # the double ends a program that misused it with 99
    conditions = json.loads(done.stdout)["latency_ms"]["conditions"]
    assert (conditions["tensorrt"], conditions["cuda_graph"]) == ("10.3.0", not refused)


def test_one_program_holds_both_backends(runs: Run, tmp_path: Path) -> None:
    plain, image = make_engine(tmp_path / "openvino", TASK), pictures(tmp_path / "images")[0]
    assert runs("infer", plain.folder, image, "--out", tmp_path / "out").returncode == 0


def test_what_the_device_would_refuse_is_one_sentence(programs: Path, runs: Run, place: Path, tmp_path: Path) -> None:
    image = pictures(tmp_path / "images")[0]
    other = make_plan(tmp_path / "other", TASK, "10.7.0")
    done = runs("infer", other.folder, image, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "TensorRT 10.3.0 does not take it" in done.stderr and "plan 10.7.0" in done.stderr
    assert "build the engine here" in done.stderr
    half = make_plan(tmp_path / "half", TASK, ORIN, half=True)
    done = runs("infer", half.folder, image, "--out", tmp_path / "out")
    assert done.returncode == 2 and "is not float32 [n, channels, height, width]" in done.stderr
    rtx = make_plan(tmp_path / "rtx", TASK, RTX)
    done = runs("infer", rtx.folder, image, "--out", tmp_path / "out")
    assert done.returncode == 3 and "needs the backend tensorrt_rtx" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_without_a_gpu_with_dimensions_of_8_and_with_tensorrt_for_rtx(programs: Path, tmp_path: Path) -> None:
    image = pictures(tmp_path / "images")[0]
    for version, devices in (("8.5.2.2", 1), (RTX, 1), (ORIN, 0)):
        folder = tmp_path / version
        engine = make_plan(folder / "engine", TASK, version)
        program = link_runtime(programs, folder / "program", version, devices)
        line = [program, "infer", engine.folder, image, "--out", folder / "out"]
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=120, check=False)
        if devices:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 3 and "CUDA driver version is insufficient" in done.stderr
