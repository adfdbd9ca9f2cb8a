"""The runtime's pixels are Python's, bit for bit: before the network and after it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge.task.task import SegmentationTask
from tests.fixtures.runtime_kit import Steps

SIZES = ((1, 1), (2, 1), (1, 7), (3, 2), (37, 53), (64, 48), (129, 200), (300, 31))
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize("resize", ("bilinear", "bicubic", "area", "nearest"))
@pytest.mark.parametrize("channels", ("rgb", "bgr", "grey"))
def test_preprocessing_is_exact(steps: Steps, channels: str, resize: str) -> None:
    random = np.random.default_rng(7)
    fixed = IMAGENET if channels != "grey" else {"mean": (0.449,), "std": (0.226,)}
    for (height, width), depth, normalize in itertools.product(SIZES, (1, 3), ("fixed", "minmax")):
        figures = fixed if normalize == "fixed" else {}
        task = SegmentationTask((64, 48), channels, resize, normalize, **figures)
        shape = (height, width) if depth == 1 else (height, width, 3)
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        difference = np.count_nonzero(steps.prepare(task, pixels) != task.preprocess(pixels))
        assert difference == 0, f"{difference} values differ for {shape}, {normalize}"


def test_a_fourth_channel_is_ignored(steps: Steps) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (33, 65, 4), dtype=np.uint8)
    for channels, size in itertools.product(("rgb", "grey"), ((33, 65), (20, 65), (33, 20), (64, 64))):
        task = SegmentationTask(size, channels)
        assert np.array_equal(steps.prepare(task, pixels), task.preprocess(pixels[..., :3].copy()))


@pytest.mark.parametrize("pixels", (np.zeros((90, 70, 3), np.uint8), np.full((90, 70, 3), 255, np.uint8)))
def test_flat_images_stay_flat(steps: Steps, pixels: np.ndarray) -> None:
    for resize in ("bilinear", "bicubic", "area", "nearest"):
        task = SegmentationTask((64, 64), resize=resize)
        assert np.array_equal(np.unique(steps.prepare(task, pixels)), np.unique(pixels / 255.0))


@pytest.mark.parametrize(
    "task",
    (
        SegmentationTask((24, 32)),
        SegmentationTask((24, 32), threshold=0.3),
        SegmentationTask((24, 32), output="probabilities", threshold=0.7),
        SegmentationTask((24, 32), activation="none", threshold=0.2),
        SegmentationTask((24, 32), classes=("background", "polyp"), activation="softmax", threshold=0.6),
        SegmentationTask((24, 32), classes=("background", "polyp"), activation="none"),
        SegmentationTask((24, 32), classes=tuple("abcdefg"), activation="softmax"),
    ),
)
def test_postprocessing_is_exact(steps: Steps, task: SegmentationTask) -> None:
    random = np.random.default_rng(5)
    # Coarse values, so that ties and values on the cut occur; a few that are not numbers.
    output = (random.integers(-4, 5, (task.maps, *task.size)) / 4).astype(np.float32)
    output[random.random(output.shape) < 0.02] = np.nan
    for shape in ((24, 32), (1, 1), (23, 33), (100, 7), (257, 300)):
        with np.errstate(invalid="ignore"):
            expected = task.labels(output, shape)
        assert np.count_nonzero(steps.finish(task, output, shape) != expected) == 0
