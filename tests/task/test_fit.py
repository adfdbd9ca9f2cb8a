"""Letterbox and crop, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.task.fit import place, take_back
from edge.task.intensity import Intensity
from edge.task.resample import _both_ways, _level_pass, nearest
from edge.task.task import SegmentationTask

RNG = np.random.default_rng(3)
SIZE = (32, 48)
SHAPES = [(32, 48), (100, 40), (40, 100), (7, 9), (33, 49), (1, 90), (64, 96), (31, 200)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_letterbox_keeps_the_aspect_and_pads_the_rest(shape: tuple[int, int]) -> None:
    p = place("letterbox", shape, SIZE)
    assert p.rows == SIZE[0] or p.columns == SIZE[1]
    ratio = min(SIZE[0] / shape[0], SIZE[1] / shape[1])
    assert abs(p.rows - shape[0] * ratio) <= 0.5 + 1e-9 or p.rows == 1
    assert abs(p.columns - shape[1] * ratio) <= 0.5 + 1e-9 or p.columns == 1
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = SegmentationTask(SIZE, fit="letterbox", pad_value=0.5, resize="nearest").resized(pixels)
    inside = seen[p.down : p.down + p.rows, p.right : p.right + p.columns]
    np.testing.assert_array_equal(inside, nearest(pixels, (p.rows, p.columns)))
    outside = np.ones(SIZE, bool)
    outside[p.down : p.down + p.rows, p.right : p.right + p.columns] = False
    assert (seen[outside] == 128).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_crop_is_the_middle_at_its_own_scale(shape: tuple[int, int]) -> None:
    pixels = RNG.integers(1, 256, (*shape, 3), dtype=np.uint8)
    seen = SegmentationTask(SIZE, fit="crop").resized(pixels)
    pads = [max(side - own, 0) for side, own in zip(SIZE, shape, strict=True)]
    padded = np.pad(pixels, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)])
    top, left = ((own - side) // 2 for own, side in zip(padded.shape[:2], SIZE, strict=True))
    np.testing.assert_array_equal(seen, padded[top : top + SIZE[0], left : left + SIZE[1]])


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_labels_return_to_where_they_came_from(fit: str, shape: tuple[int, int]) -> None:
    task = SegmentationTask(SIZE, "grey", "nearest", fit=fit, classes=tuple("abcdefg"), activation="softmax")
    truth = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 5 % 7).astype(np.uint8)
    seen = task.resized(truth)[..., 0]
    output = (seen == np.arange(7)[:, None, None]).astype(np.float32)
    back = task.labels(output, shape)
    p = place(fit, shape, SIZE)
    inside = (slice(p.top, p.top + p.height), slice(p.left, p.left + p.width))
    if (p.rows, p.columns) == (p.height, p.width):
        np.testing.assert_array_equal(back[inside], truth[inside])
    rest = back.copy()
    rest[inside] = 0
    assert not rest.any()
    smaller = take_back(seen[::2, ::2], fit, SIZE, shape)  # an output at half the network's size
    assert smaller.shape == shape


def test_overlapping_labels_return_map_by_map() -> None:
    task = SegmentationTask(SIZE, fit="letterbox", classes=("a", "b"), overlapping=True, thresholds=(0.5, 0.9))
    output = np.full((2, *SIZE), 1.0, np.float32)
    labels = task.labels(output, (50, 60))
    assert labels.shape == (2, 50, 60)
    assert labels[0].all() and not labels[1].any()


def test_padding_counts_before_mean_and_std() -> None:
    fixed = SegmentationTask((4, 8), "grey", fit="letterbox", pad_value=0.2, mean=(0.2,), std=(0.5,))
    assert fixed.preprocess(np.full((4, 4), 255, np.uint8))[0, 0].tolist()[0] == 0.0  # level 51 is 0.2
    stretched = SegmentationTask((4, 8), "grey", fit="letterbox", normalize="minmax", pad_value=1.0)
    pixels = np.arange(10, 26, dtype=np.uint8).reshape(4, 4)
    assert stretched.preprocess(pixels)[0, 0, 0] == stretched.preprocess(pixels).max() > 0.99
    ct = SegmentationTask((4, 8), "grey", fit="letterbox", scale=1.0, pad_value=-3.0, intensity=Intensity(range=(0, 9)))
    assert ct.preprocess(np.ones((4, 4), np.int16))[0, 0, 0] == -3.0
    with pytest.raises(InputError, match="pad_value = 2 is no grey level"):
        SegmentationTask((4, 8), fit="crop", pad_value=2.0)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "area"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_levels_are_the_same_with_and_without_pillow(kernel: str, channels: int) -> None:
    for shape, size in (((60, 31), (24, 40)), ((7, 90), (24, 40)), ((24, 40), (50, 11)), ((200, 133), (24, 40))):
        pixels = RNG.integers(0, 256, (*shape, channels), dtype=np.uint8)
        task = SegmentationTask(size, tuple(f"c{i}" for i in range(channels)), kernel)
        without = _both_ways(pixels, size, lambda array, out: _level_pass(array, out, kernel))
        np.testing.assert_array_equal(task.resized(pixels), without)


def test_levels_are_pillow_s() -> None:
    pixels = RNG.integers(0, 256, (60, 31, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels).resize((40, 60), Image.BICUBIC).resize((40, 24), Image.BICUBIC)
    np.testing.assert_array_equal(SegmentationTask((24, 40), resize="bicubic").resized(pixels), np.asarray(expected))


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop", "tile"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_mask_is_seen_where_its_image_is(fit: str, shape: tuple[int, int]) -> None:
    task = SegmentationTask(SIZE, "grey", "nearest", fit=fit, scale=1.0)
    truth = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 5 % 2).astype(np.uint8)
    np.testing.assert_array_equal(task.seen_labels(truth), task.preprocess(truth)[0].astype(np.uint8))
    assert task.seen_labels(np.stack([truth, 1 - truth])).shape == (2, *SIZE)
