"""Probabilities dropped where only masks are wanted: masks stay the same to the pixel, the task follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.fusion import REWRITES, for_masks, safe_rewrites
from edge.fusion.proof import run_float32
from tests.fixtures.graph_builder import Builder


@pytest.mark.parametrize("maps", [1, 2, 4])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_masks_are_the_same(maps: int, threshold: float) -> None:
    b = Builder(3)
    z = b.conv("x", 3, maps, 3)
    model = b.model(b.op("Sigmoid", z) if maps == 1 else b.op("Softmax", z, axis=1))
    model = replace(model, task=replace(model.task, output="probabilities", threshold=threshold))
    bare = for_masks(model)
    assert [n.op_type for n in bare.proto.graph.node] == ["Conv"] and bare.task.output == "logits"
    assert bare.output_name == model.output_name
    batches = b.inputs()
    for before, after in zip(run_float32(model.proto, batches), run_float32(bare.proto, batches), strict=True):
        assert np.array_equal(model.task.decide(before[0]), bare.task.decide(after[0]))


def test_a_graph_of_logits_comes_back_as_it_is() -> None:
    b = Builder(3)
    model = b.model(b.op("Sigmoid", b.conv("x", 3, 1)))
    assert for_masks(model) is model  # the task says logits: what the sigmoid means here is the user's business


def test_it_is_never_a_default() -> None:
    assert "mask-from-logits" not in safe_rewrites() and REWRITES["mask-from-logits"].mask_only
