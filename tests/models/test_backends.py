"""Every network builds on every backend that this machine has, and runs right where the machine can run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training.folder import TrainingFolder
from training.weights import save_weights

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.errors import MachineError
from edge.graph.model import Model
from edge.loading.module import load_module
from edge.targets.target import find_target
from tests.fixtures.network_examples import example

# Backend, a target it compiles for, and whether an engine for it runs on any machine.
BUILDS = [("onnxruntime", "cpu", True), ("openvino", "cpu", True), ("tensorrt_rtx", "rtx-ampere", False)]
PARITY_DB = 60.0  # the gate's bar for FP32

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def exported(opened: TrainingFolder, settled: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The network as the toolkit loads it, at its own size: compilers choose other kernels at others."""
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(settled.state_dict(), path)
    return load_module(opened.build(), path, opened.folder.task, opened.folder.name, str(opened.folder.folder))


@pytest.mark.parametrize(("backend", "target", "runs"), BUILDS)
def test_builds(
    opened: TrainingFolder, settled: nn.Module, exported: Model, backend: str, target: str, runs: bool, tmp_path: Path
) -> None:
    compiler = find_backend(backend)
    candidate = Candidate(name="fp32", precision="fp32", rest="fp32", model=exported)
    try:
        engine = compiler.build(candidate, replace(find_target(target), backend=backend), tmp_path)
    except MachineError as error:
        pytest.skip(str(error))
    if not runs:
        return
    image = example(opened, 1, *opened.folder.task.size)
    with torch.no_grad():
        expected = settled(image).numpy()
    runner = compiler.load(engine, threads=2)
    found = runner.run(image.numpy())
    runner.close()
    noise = float(np.square(found - expected).mean())
    assert noise == 0 or 10 * np.log10(np.square(expected).mean() / noise) >= PARITY_DB
