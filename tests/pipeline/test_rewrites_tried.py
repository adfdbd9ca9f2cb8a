"""The rewrites that a deployment tries: the same ones, in the same order, each time that it is run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest

from tests.fixtures.command import edge
from tests.fixtures.discs import write_discs
from tests.fixtures.doors import discs, tensor


def pyramid() -> onnx.ModelProto:
    """The disc network, whose head also reads an enlarged half of the map before: several rewrites apply."""
    proto = discs()
    proto.graph.node.pop()
    proto.graph.node.extend(
        [
            oh.make_node("AveragePool", ["d"], ["small"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
            oh.make_node("Resize", ["small", "", "scales"], ["large"], "up", mode="linear"),
            oh.make_node("Concat", ["d", "large"], ["both"], "join", axis=1),
            oh.make_node("Conv", ["both", "wide.w"], ["output"], "head/Conv", kernel_shape=[1, 1]),
        ]
    )
    head = next(onnx.numpy_helper.to_array(w) for w in proto.graph.initializer if w.name == "head.w")
    proto.graph.initializer.append(tensor(np.concatenate([head, head / 10], axis=1), "wide.w"))
    proto.graph.initializer.append(tensor(np.array([1, 1, 2, 2], np.float32), "scales"))
    return proto


@pytest.mark.slow
def test_two_runs_of_the_command_try_the_same_rewrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_discs(tmp_path / "set", {"train": 3, "val": 3, "test": 20})
    onnx.save(pyramid(), tmp_path / "net.onnx")
    (tmp_path / "task.toml").write_text("[task]\nsize = [32, 32]\n")
    planned, tried, logs = [], [], []
    for run in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{run}"))  # no memory of the other run
        where = ("--task", tmp_path / "task.toml", "--data", data, "--out", tmp_path / run)
        how = ("--precisions", "fp32", "--seconds", 0.05, "--budget", 60, "--log-file", tmp_path / f"{run}.log", "-v")
        said = edge("deploy", tmp_path / "net.onnx", *where, *how)
        assert said.returncode in (0, 1), said.stderr
        fusion = json.loads((tmp_path / run / "report.json").read_text())["fusion"]
        planned.append(fusion["tried"] + fusion["untried"])
        tried.append(fusion["tried"])
        logs.append([line for line in (tmp_path / f"{run}.log").read_text().splitlines() if "rewrites tried:" in line])
    assert planned[0] == planned[1] and len(planned[0]) >= 4
    assert all(len(log) == len(sets) for log, sets in zip(logs, tried, strict=True))
    shorter = min(map(len, tried))
    assert shorter >= 2 and tried[0][:shorter] == tried[1][:shorter]
