"""Six small networks that no one here wrote, through loading, fusion, INT8 and lowering."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks.third_party.networks import NETWORKS, warmed
from benchmarks.third_party.run import table
from edge.backends.onnxruntime import reference
from edge.fusion import fuse
from edge.graph.model import Model
from edge.loading import load_model
from edge.lowering import lower
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.task.noise import noise_batch

pytestmark = pytest.mark.skipif(find_spec("monai") is None, reason="needs MONAI")
SMALL = ("UNet", "UNet-residual", "BasicUNet", "DynUNet", "AttentionUnet", "SegResNet")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_of_monai_goes_through_every_stage(name: str) -> None:
    network = next(one for one in NETWORKS if one.name == f"monai/{name}")
    model = load_model(warmed(network), task=network.task)
    inputs = [noise_batch(network.task, seed) for seed in range(2)]
    fused = fuse(model, None, inputs)
    assert not fused.refused
    scheme = find_scheme("tensorrt")
    quantized = quantize(fused.model, calibrate(fused.model, inputs), plan_int8(fused.model, scheme), scheme)
    exact = reference(model).run(inputs[0])
    for version in ("8.5", "10.3", "11.1"):
        lowered = lower(fused.model, version)
        np.testing.assert_allclose(reference(lowered).run(inputs[0]), exact, atol=1e-3 * np.abs(exact).max())
        assert isinstance(lower(quantized, version), Model)


def test_a_failure_stands_in_the_table_with_its_reason() -> None:
    text = table([{"name": "library/net", "failed": "InputError: no such operator", "seconds": 1.0}])
    assert "| library/net | failed |" in text and "- library/net: InputError: no such operator" in text


def test_there_are_twenty_five_architectures_or_more() -> None:
    assert len({network.name for network in NETWORKS}) >= 25
