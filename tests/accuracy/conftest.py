"""A small image set on disk and evaluations of it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.accuracy.evaluate import Evaluation
from edge.images.image_set import ImageSet, load_image_set
from edge.task.task import SegmentationTask

SIZE = 16


@pytest.fixture
def task() -> SegmentationTask:
    # The logit is the grey value's distance from 127.5, so thresholding the image itself gives its mask.
    return SegmentationTask(size=(SIZE, SIZE), channels="grey", mean=(0.5,), std=(0.05,))


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """24 images of bright discs on dark ground with exact masks, two modalities, six patients, two sizes."""
    rows = ["image,mask,split,modality,patient"]
    rng = np.random.default_rng(3)
    for index in range(24):
        side = SIZE if index % 2 else 2 * SIZE
        y, x = np.ogrid[:side, :side]
        mask = (y - side / 2) ** 2 + (x - rng.integers(side / 4, side)) ** 2 < (side / 4) ** 2
        pixels = np.where(mask, 180, 70) + rng.integers(-30, 30, (side, side))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"i{index:02}.png")
        Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / f"m{index:02}.png")
        modality = "rare" if index >= 18 else "common"
        rows.append(f"i{index:02}.png,m{index:02}.png,test,{modality},p{index // 4}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return load_image_set(tmp_path)


@pytest.fixture
def identity() -> Callable[[np.ndarray], np.ndarray]:
    """The network that returns its input."""
    return lambda batch: batch


@pytest.fixture
def reference(images: ImageSet, task: SegmentationTask, identity: Callable[[np.ndarray], np.ndarray]) -> Evaluation:
    from edge.accuracy.evaluate import evaluate

    return evaluate(identity, images, task)
