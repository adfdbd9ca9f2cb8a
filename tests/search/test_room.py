"""How far inside the bars a plan is, and that the search asks what the verdict asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.accuracy.check import Standard
from edge.accuracy.checked import Checked
from edge.accuracy.evaluate import evaluate
from edge.accuracy.gate import WORST_DROP, Check, Criteria, Gate
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import OnnxRuntime
from edge.backends.onnxruntime import reference as exact_runner
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import load_image_set
from edge.search.dialect import PlainDialect
from edge.search.local_bench import LocalBench
from edge.search.room import GateResult, _slack, gate_result
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.known_bench import (
    SCHEME,
)


@pytest.mark.parametrize(
    ("value", "bar", "slack"),
    [
        (1.0, 0.999, 1.0),
        (0.9995, 0.999, 0.5),
        (0.97, 0.98, -0.5),
        (0.01, 0.05, 0.8),
        (-0.0025, -0.005, 0.5),
        (35.0, 30.0, 1.0),
        (25.0, 30.0, -1.0),
        (0.0, 0.0, 1.0),
        (-0.001, 0.0, -1.0),
    ],
)
def test_slack_is_the_share_of_the_bar_that_is_left(value: float, bar: float, slack: float) -> None:
    name = WORST_DROP if 0.0 < bar < 0.5 else "a bar"
    assert _slack(Check(name, value, bar, passed=slack >= 0)) == pytest.approx(slack)


def _less_sure(model: Model) -> Candidate:
    """The disc network with its first feature weighed less: masks shrink, and some images lose more than others."""
    graph = onnx.ModelProto()
    graph.CopyFrom(model.proto)
    head = next(tensor for tensor in graph.graph.initializer if tensor.name == "head.w")
    weights = numpy_helper.to_array(head) * np.array([0.5, *[1.0] * 7], np.float32).reshape(1, 8, 1, 1)
    head.CopyFrom(numpy_helper.from_array(weights, "head.w"))
    return Candidate("less", "fp32", "fp32", replace(model, proto=graph))


def test_the_search_asks_what_the_verdict_asks(tmp_path: Path) -> None:
    model = disc_network()
    images = load_image_set(write_discs(tmp_path / "discs", {"val": 30})).split("val")

    reference = evaluate(exact_runner(model).run, images, model.task)
    bench = LocalBench(OnnxRuntime(), find_target("cpu"), PlainDialect(SCHEME))

    def judged(gate: Gate, strata: str | None) -> GateResult:
        standard = Standard(images, reference, Criteria(gate, strata), allow_small=True, parity_images=3)
        checked = bench.check(_less_sure(model), standard)
        assert isinstance(checked, Checked)
        return gate_result(checked, gate, _less_sure(model))

    apart = judged(Gate("apart", strata_retained=1.0), "modality")
    assert [reason.split(" (")[0] for reason in apart.reasons] == [
        "Dice retained where modality is even",
        "Dice retained where modality is odd",
    ]
    with pytest.raises(InputError, match="name their column with --strata"):
        judged(Gate("apart", strata_retained=1.0), None)
    assert judged(Gate("together", dice_retained=0.0), None).passed
    drop = 1.0 - judged(Gate("worst", worst_drop=1.0), None).slack
    assert 0.0 < drop < 1.0  # twice the worst image's drop
    near = judged(Gate("worst", worst_drop=0.75 * drop), None)
    assert near.passed and near.slack == pytest.approx(1.0 - 1.0 / 0.75)
    assert judged(Gate("worst", worst_drop=2.0 * drop), None).slack == pytest.approx(0.5)
    assert not judged(Gate("worst", worst_drop=0.4 * drop), None).passed
