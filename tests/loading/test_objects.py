"""A module, an ONNX graph and a model in memory load as their files do."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from edge.errors import InputError
from edge.loading import load_model
from tests.fixtures.discs import TASK, disc_network


def test_a_graph_in_memory_is_the_file_s(tmp_path: Path) -> None:
    path = disc_network().save(tmp_path / "discs.onnx")
    proto = onnx.load(path)
    assert load_model(proto).sha256 == load_model(path).sha256 == load_model(str(path)).sha256
    del proto.metadata_props[:]
    with pytest.raises(InputError, match="says nothing about its task"):
        load_model(proto)
    assert load_model(proto, task=TASK).task == TASK
    model = load_model(path)
    assert load_model(model) is model


def test_a_module_is_exported_and_left_as_it_was() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Dropout(), torch.nn.Conv2d(4, 1, 1))
    model = load_model(network.train(), task=TASK)
    assert network.training and network[1].training
    assert model.name == "Sequential" and dict(model.facts or {})["parameters"] == 4 * 27 + 4 + 4 + 1
    before = dict(model.facts or {})["weights"]
    with torch.no_grad():
        network[0].weight += 1
    assert dict(load_model(network, task=TASK).facts or {})["weights"] != before


def test_objects_that_are_no_models_are_refused_by_argument(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model: is a dict; give a path"):
        load_model({})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no graph"):
        load_model(onnx.ModelProto())
    with pytest.raises(InputError, match="add task="):
        load_model(torch.nn.Conv2d(3, 1, 1))
    with pytest.raises(InputError, match="weights: a model in memory carries its own"):
        load_model(torch.nn.Conv2d(3, 1, 1), tmp_path / "w.safetensors", TASK)
