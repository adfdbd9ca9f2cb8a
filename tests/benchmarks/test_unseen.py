"""The network that the toolkit was not made for holds what it is meant to hold, and goes through the door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.training import model_folder
from benchmarks.unseen.__main__ import FOLDER
from edge.backends.onnxruntime import reference
from edge.loading import load_model
from edge.loading.folder import build_network, read_folder
from edge.task.noise import noise_batch


@pytest.mark.slow
def test_it_loads_like_any_model_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(read_folder(FOLDER)).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    model = load_model(str(model_folder(FOLDER, tmp_path, tmp_path / "unseen")), None)
    operators = {node.op_type for node in model.proto.graph.node}
    assert {"ConvTranspose", "Concat", "HardSwish", "HardSigmoid"} <= operators
    assert model.task.classes == ("background", "nucleus") and model.task.activation == "softmax"
    image = noise_batch(model.task)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    assert expected.shape == (1, 2, 256, 256)
    assert np.abs(reference(model).run(image) - expected).max() <= 1e-5 * np.abs(expected).max()
