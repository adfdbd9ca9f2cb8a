"""What a file is, told from what is in it."""

from __future__ import annotations

from pathlib import Path

import onnx

from edge.pipeline.inspect import describe
from tests.fixtures.small_unet import small_unet


def test_a_graph_that_carries_no_task_is_described_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "bare.onnx"
    proto = onnx.ModelProto()
    proto.CopyFrom(small_unet().proto)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    del proto.metadata_props[:]
    onnx.save(proto, path)
    found = describe(path)
    assert found["inputs"] == {small_unet().input_name: "n x 3 x 64 x 64"}
    assert found["macs"] > 1_000_000
    assert "--task" in found["task"]


def test_a_graph_with_a_task_shows_it(tmp_path: Path) -> None:
    path = small_unet().save(tmp_path / "full.onnx")
    assert describe(path)["task"]["size"] == [64, 64]
    assert describe(path)["sha256"] == small_unet().sha256
