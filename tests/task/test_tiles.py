"""Tiles and their blending, held against MONAI's SlidingWindowInferer."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import InputError
from edge.task.task import SegmentationTask
from edge.task.tiles import Grid, Tile, weights

RNG = np.random.default_rng(5)


def network(batch: np.ndarray) -> np.ndarray:
    """Two maps that depend on the place in a tile, so that seams show."""
    ramp = np.linspace(-1, 1, batch.shape[-1], dtype=np.float32)
    return np.stack([batch[:, 0] * 3 - 1 + ramp, np.roll(batch.mean(axis=1), 1, axis=-2) - ramp], axis=1)


@pytest.mark.parametrize("shape", [(64, 48), (65, 131), (20, 200), (9, 11), (150, 149), (64, 10)])
@pytest.mark.parametrize("blend", ["gaussian", "mean"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.99])
@pytest.mark.slow
def test_blending_is_monai_s(shape: tuple[int, int], blend: str, overlap: float) -> None:
    import torch
    from monai.inferers import SlidingWindowInferer

    size = (32, 40)
    if overlap > 0.9:  # a tile per pixel
        size, shape = (6, 5), (min(shape[0], 30), min(shape[1], 25))
    task = SegmentationTask(size, fit="tile", tile=Tile(overlap, blend))
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    ours: dict[int, np.ndarray] = {}
    task.blend(network, pixels, lambda row, band: ours.update({row: band.copy()}), batch=3)
    image = torch.from_numpy((pixels / 255.0).astype(np.float32).transpose(2, 0, 1)[None])
    mode = "constant" if blend == "mean" else "gaussian"
    theirs = SlidingWindowInferer(size, 4, overlap, mode)(image, lambda x: torch.from_numpy(network(x.numpy())))
    blended = np.concatenate([ours[row] for row in sorted(ours)], axis=1)
    assert blended.shape == theirs.shape[1:]
    np.testing.assert_allclose(blended, theirs[0].numpy(), rtol=0, atol=2e-6)


def test_weights_are_monai_s() -> None:
    from monai.data.utils import compute_importance_map

    for size in ((7, 7), (32, 40), (256, 256), (1, 3)):
        theirs = compute_importance_map(size, "gaussian").numpy()
        np.testing.assert_allclose(weights(size, "gaussian"), theirs, rtol=3e-7)


def test_grid_by_hand() -> None:
    grid = Grid(Tile(0.25), (100, 40), (32, 40))
    assert (grid.tops, grid.lefts) == ([0, 24, 48, 68], [0])
    assert [p.top for p in grid] == [0, 24, 48, 68]
    assert grid.middle == 1
    small = Grid(Tile(), (9, 100), (32, 40))
    assert (small[0].down, small[0].height, small[0].rows) == (11, 9, 9)


def test_masks_do_not_depend_on_the_batch_or_the_band() -> None:
    task = SegmentationTask((16, 24), classes=("a", "b"), overlapping=True, fit="tile", thresholds=(0.4, 0.6))
    pixels = RNG.integers(0, 256, (70, 55, 3), dtype=np.uint8)
    masks = [task.segment(network, pixels, batch) for batch in (1, 4, 1000)]
    assert masks[0].shape == (2, 70, 55) and 0 < masks[0].mean() < 1
    assert all(np.array_equal(mask, masks[0]) for mask in masks[1:])
    whole: list[np.ndarray] = []
    task.blend(network, pixels, lambda _, band: whole.append(band))
    assert np.array_equal(task.labels(np.concatenate(whole, axis=1), (70, 55)), masks[0])


def test_an_output_smaller_than_its_tile_is_brought_to_it() -> None:
    for upsample in ("nearest", "bilinear"):
        task = SegmentationTask((16, 16), fit="tile", upsample=upsample)
        mask = task.segment(lambda batch: batch[:, :1, ::4, ::4] - 0.5, np.full((40, 33), 200, np.uint8))
        assert mask.shape == (40, 33) and mask.all()


def test_minmax_looks_at_the_image_and_not_at_each_tile() -> None:
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, 20:] = np.arange(20) + 100
    task = SegmentationTask((20, 20), "grey", normalize="minmax", fit="tile", tile=Tile(0.0))
    first, second = task.inputs(pixels)
    assert first.max() == 0.0
    assert second.min() == pytest.approx(100 / 119, abs=1e-6)


def test_memory_is_a_band_and_not_the_image() -> None:
    import tracemalloc

    peaks = []
    for height in (256, 2048):
        task = SegmentationTask((32, 32), fit="tile")
        pixels = np.zeros((height, 64), np.uint8)
        tracemalloc.start()
        task.blend(lambda batch: np.zeros((len(batch), 8, 32, 32), np.float32), pixels, lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1] - height * 64 * 3)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6  # eight maps of the whole image would be 4 MB


def test_class_indices_are_not_blended() -> None:
    with pytest.raises(InputError, match="tiles are blended, class indices cannot be"):
        SegmentationTask((32, 32), fit="tile", output="labels", classes=("a", "b"))
