import pytest

from edge.backends.engine import Layer
from edge.latency.layers import summarize_layers

LAYERS = (
    Layer("a", "Convolution", "int8", 2.0),
    Layer("b", "Convolution", "fp32", 5.0),
    Layer("c", "Concatenation", "fp32", 1.0),
    Layer("d", "Input", "fp32", None),
)


def test_shares_by_precision_and_operator() -> None:
    found = summarize_layers(LAYERS, p50_ms=8.0)
    assert found is not None
    assert found.total_ms == 8.0
    assert [layer.name for layer in found.slowest] == ["b", "a", "c"]
    assert list(found.by_precision.items()) == [("fp32", 0.75), ("int8", 0.25)]
    assert list(found.by_op.items()) == [("Convolution", 0.875), ("Concatenation", 0.125)]
    assert found.quantized == 0.25
    assert found.explains == 1.0
    assert found.warnings == ()


@pytest.mark.parametrize("p50", [4.0, 16.0])
def test_a_sum_that_does_not_explain_the_whole_says_so(p50: float) -> None:
    found = summarize_layers(LAYERS, p50)
    assert found is not None
    assert found.explains == 8.0 / p50
    assert f"layers add up to 8.00 ms, but the engine takes {p50:.2f} ms" in found.warnings[0]


def test_without_times_there_is_no_summary() -> None:
    assert summarize_layers(()) is None
    assert summarize_layers((Layer("a", "Conv", "fp32", None),)) is None
    found = summarize_layers(LAYERS)
    assert found is not None
    assert found.explains is None
