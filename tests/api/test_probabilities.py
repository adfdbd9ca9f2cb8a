"""Probabilities by every activation, and over tiles."""

from __future__ import annotations

import numpy as np
import pytest

from edge.api.probabilities import probabilities
from edge.errors import InputError
from edge.task.task import SegmentationTask

IMAGE = np.arange(40 * 24, dtype=np.uint32).reshape(40, 24).astype(np.uint8)


def brightness(maps: int):
    def run(batch: np.ndarray) -> np.ndarray:
        grey = batch.mean(axis=1, keepdims=True)
        return np.concatenate([grey * 8 - 4 + m for m in range(maps)], axis=1).astype(np.float32)

    return run


def test_softmax_sums_to_one_and_agrees_with_labels() -> None:
    task = SegmentationTask(size=(16, 16), classes=("a", "b", "c"), activation="softmax")
    found = probabilities(brightness(3), task, IMAGE)
    assert found.shape == (3, 40, 24)
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=0), task.segment(brightness(3), IMAGE))


def test_a_sigmoid_never_overflows() -> None:
    task = SegmentationTask(size=(16, 16))
    found = probabilities(lambda batch: np.full((1, 1, 16, 16), -1e30, np.float32), task, IMAGE)
    assert found.max() == 0.0


def test_tiles_are_blended_before_the_activation() -> None:
    task = SegmentationTask(size=(16, 16), fit="tile")
    found = probabilities(brightness(1), task, IMAGE)
    assert found.shape == (1, 40, 24)
    np.testing.assert_array_equal(found[0] >= 0.5, task.segment(brightness(1), IMAGE).astype(bool))


def test_class_indices_have_none() -> None:
    with pytest.raises(InputError, match="call segment"):
        probabilities(brightness(1), SegmentationTask(size=(16, 16), output="labels"), IMAGE)
