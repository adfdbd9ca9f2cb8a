"""A zoo of small networks: fused equals unfused, with every rewrite and with the safe set."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.fusion import REWRITES, fuse
from edge.fusion.proof import run_float32
from tests.fixtures.zoo import SIZE, ZOO

_EXACT = list(REWRITES)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("rewrites", [None, _EXACT], ids=["safe", "all"])
def test_fused_equals_unfused(name: str, rewrites: list[str] | None) -> None:
    model = ZOO[name](SIZE)
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(1, 3, SIZE, SIZE)).astype(np.float32) for _ in range(2)]
    result = fuse(model, rewrites, batches)
    assert not result.refused
    onnx.checker.check_model(result.model.proto, full_check=True)
    fresh = [rng.random((1, 3, SIZE, SIZE), dtype=np.float32)]  # not those it was proven on
    before, after = run_float32(model.proto, fresh)[0], run_float32(result.model.proto, fresh)[0]
    assert before.shape == after.shape and np.abs(before - after).max() <= 1e-4 * np.abs(before).max()
    assert [o.name for o in result.model.proto.graph.output] == [o.name for o in model.proto.graph.output]
    assert result.model.task == model.task


def test_shape_arithmetic_and_the_dead_branch_are_gone() -> None:
    model = ZOO["shape-arithmetic"](SIZE)
    result = fuse(model, (), [np.zeros((1, 3, SIZE, SIZE), np.float32)])
    assert [n.op_type for n in result.model.proto.graph.node] == ["Conv", "Relu", "Resize", "Conv"]


def test_every_rewrite_has_a_picture_and_its_algebra() -> None:
    from importlib import import_module

    for name in REWRITES:
        text = import_module(f"edge.fusion.rewrites.{name.replace('-', '_')}").__doc__ or ""
        assert "::" in text and "Algebra:" in text and ("ays" in text), name
