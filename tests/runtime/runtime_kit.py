"""Builds the C++ runtime, calls its steps, and makes engines and references for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.backends.engine import ConvCounts, Engine
from edge.files import sha256_file
from edge.task import SegmentationTask

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path, *options: str) -> Path:
    """Configure and build the runtime; the folder its programs are in."""
    missing = [tool for tool in ("cmake", "c++", "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the C++ runtime needs {', '.join(missing)} (apt-get install build-essential cmake)")
    from openvino.utils import get_cmake_path

    for command in (
        ["cmake", "-S", ROOT, "-B", folder, f"-DOpenVINO_DIR={get_cmake_path()}", "-DSEGEDGE_WERROR=ON", *options],
        ["cmake", "--build", folder, "--parallel", "2"],
    ):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder / "export" / "runtime"


class Steps:
    """``segedge-pixels``: what the runtime does before and after the network, without a network."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def prepare(self, task: SegmentationTask, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As ``task.preprocess``; a fourth channel is allowed."""
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        data = self._call("prepare", task, pixels.tobytes(), *pixels.shape[:2], channels)
        return np.frombuffer(data, np.float32).reshape(task.in_channels, *task.size)

    def finish(self, task: SegmentationTask, output: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """As ``task.labels``."""
        return np.frombuffer(self._call("finish", task, output.tobytes(), *shape), np.uint8).reshape(shape)

    def _call(self, step: str, task: SegmentationTask, data: bytes, *numbers: int) -> bytes:
        table = self.folder / "task.json"
        table.write_text(task.to_json())
        command = [str(self.program), step, str(table), *map(str, numbers)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def make_engine(folder: Path, task: SegmentationTask, seed: int = 0) -> Engine:
    """A small real network in OpenVINO's IR: two convolutions with seeded weights, ``tanh`` between them."""
    import openvino
    from openvino import opset13 as ops

    random = np.random.default_rng(seed)

    def convolution(x: openvino.Node, into: int, out: int) -> openvino.Node:
        weights = ops.constant(random.standard_normal((out, into, 3, 3)).astype(np.float32))
        return ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])

    image = ops.parameter([1, task.in_channels, *task.size], np.float32, name="image")
    output = convolution(ops.tanh(convolution(image, task.in_channels, 8)), 8, task.maps)
    output.output(0).get_tensor().set_names({"output"})
    folder.mkdir(parents=True)
    openvino.save_model(openvino.Model([output], [image], "small"), folder / "model.xml", compress_to_fp16=False)
    return Engine(
        folder=folder,
        name="fp32",
        precision="fp32",
        rest="fp32",
        backend="openvino",
        target="cpu",
        task=task,
        artefact="model.xml",
        graph_sha256="0" * 64,
        artefact_sha256={name: sha256_file(folder / name) for name in ("model.xml", "model.bin")},
        build_seconds=0.0,
        convs=ConvCounts(fp32=2),
        versions={},
        runs_on={},
    ).write()


def write_reference(folder: Path, images: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Path:
    """The folder that ``segedge-run verify`` reads: raw pixels and expected labels, by name."""
    folder.mkdir()

    def raw(name: str, array: NDArray[np.uint8]) -> dict[str, str]:
        (folder / name).write_bytes(array.tobytes())
        return {"file": name, "sha256": sha256_file(folder / name)}

    rows = [
        {
            "name": name,
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "channels": pixels.shape[2] if pixels.ndim == 3 else 1,
            "pixels": raw(f"{name}.pixels", pixels),
            "labels": raw(f"{name}.labels", labels),
        }
        for name, (pixels, labels) in images.items()
    ]
    (folder / "reference.json").write_text(json.dumps({"schema": "segedge.reference/1", "images": rows}))
    return folder
