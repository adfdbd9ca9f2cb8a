import numpy as np
import pytest

from edge.accuracy.counts import count, stack
from edge.task.task import SegmentationTask

ONE = SegmentationTask(size=(2, 3))
THREE = SegmentationTask(size=(2, 3), classes=("background", "liver", "tumour"), activation="softmax")


def labels(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_binary_counts_are_the_four_outcomes() -> None:
    counts = count(labels([1, 1, 0], [0, 1, 0]), labels([1, 0, 0], [1, 1, 0]), ONE)
    assert [int(v[0, 0]) for v in (counts.tp, counts.fp, counts.fn, counts.tn)] == [2, 1, 1, 2]
    assert counts.tp.shape == (1, 1)
    assert counts.tp.dtype == np.int64


def test_background_is_not_a_class_and_every_other_is_counted_apart() -> None:
    counts = count(labels([1, 2, 2], [0, 0, 2]), labels([1, 1, 2], [0, 2, 0]), THREE)
    assert counts.tp.tolist() == [[1, 1]]
    assert counts.fp.tolist() == [[0, 2]]
    assert counts.fn.tolist() == [[1, 1]]
    assert counts.tn.tolist() == [[4, 2]]


def test_large_masks_do_not_overflow() -> None:
    full = np.ones((3000, 3000), np.uint8)
    assert int(count(full, full, ONE).tp[0, 0]) == 9_000_000


def test_stack_keeps_order_and_pooled_sums() -> None:
    first = count(labels([1, 1, 1]), labels([1, 1, 1]), ONE)
    second = count(labels([0, 0, 0]), labels([1, 0, 0]), ONE)
    both = stack([first, second])
    assert both.tp[:, 0].tolist() == [3, 0]
    assert both.fn[:, 0].tolist() == [0, 1]
    assert both.pooled().tp.tolist() == [[3]]
    assert len(both) == 2


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        count(labels([1, 1]), labels([1], [1]), ONE)
