"""A peer gives maps of the image's size, whatever its network returns."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers.builders import run_torch


def test_small_maps_of_pytorch_are_enlarged_as_loading_does_it() -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Conv2d(3, 2, 4, stride=4).eval()
    batch = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
    with torch.inference_mode():
        small = network(torch.from_numpy(batch))
    wanted = torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear", align_corners=False).numpy()
    assert small.shape[-2:] == (8, 8)
    np.testing.assert_allclose(run_torch(network, torch)(batch), wanted, atol=1e-6)
