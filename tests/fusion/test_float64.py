"""The float64 kernels of a proof compute what ONNX Runtime computes, or say that they do not know how."""

from __future__ import annotations

import numpy as np
import pytest

from edge.fusion.float64 import run_float64
from edge.fusion.proof import Prover, run_float32
from tests.fixtures.graph_builder import Builder


def _convolution(b: Builder, auto_pad: str) -> str:
    return b.op("Conv", "x", b.random(4, 3, 4, 3), auto_pad=auto_pad, strides=[3, 2])


def _transposed(b: Builder, *, group: int) -> str:
    return b.op("ConvTranspose", b.conv("x", 3, 6), b.random(6, 2, 3, 3), b.random(4), strides=[2, 2], group=group)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(auto_pad: str) -> None:
    b = Builder(3, size=17)
    _same(b, _convolution(b, auto_pad))


def test_grouped_transposed_convolution() -> None:
    b = Builder(3)
    _same(b, _transposed(b, group=2))


def _same(b: Builder, y: str) -> None:
    graph, inputs = b.model(y).proto, b.inputs()
    for exact, seen in zip(run_float64(graph, inputs), run_float32(graph, inputs), strict=True):
        assert exact.shape == seen.shape
        np.testing.assert_allclose(seen, exact, atol=1e-5 * np.abs(exact).max())


def test_what_a_kernel_does_not_know_is_not_proven() -> None:
    b = Builder(3, size=9)
    pooled = b.op("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    graph, nearly = (b.model(b.op("Mul", pooled, b.weight(np.float32(factor)))).proto for factor in (1.0, 1.0001))
    with pytest.raises(NotImplementedError):
        run_float64(graph, b.inputs())
    proof = Prover(graph, b.inputs()).check(nearly)
    assert not proof.holds and 5e-6 < proof.relative < 1e-2 and proof.bits == 32
