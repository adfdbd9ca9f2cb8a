import numpy as np
import pytest

from edge.accuracy import scores
from edge.accuracy.counts import Counts


def counts(tp: list[list[int]], fp: list[list[int]], fn: list[list[int]]) -> Counts:
    arrays = [np.array(v, np.int64) for v in (tp, fp, fn)]
    return Counts(*arrays, np.full_like(arrays[0], 7))


def test_values_by_hand() -> None:
    one = counts([[6]], [[2]], [[4]])
    assert scores.dice(one)[0, 0] == pytest.approx(12 / 18)
    assert scores.iou(one)[0, 0] == pytest.approx(6 / 12)
    assert scores.recall(one)[0, 0] == pytest.approx(6 / 10)
    assert scores.precision(one)[0, 0] == pytest.approx(6 / 8)


@pytest.mark.parametrize("score", scores.SCORES.values(), ids=list(scores.SCORES))
def test_both_empty_is_1_and_one_empty_is_0(score) -> None:
    assert score(counts([[0]], [[0]], [[0]]))[0, 0] == 1.0
    assert score(counts([[0]], [[5]], [[0]]))[0, 0] == 0.0
    assert score(counts([[0]], [[0]], [[5]]))[0, 0] == 0.0


def test_mean_is_over_images_then_classes_and_micro_pools_pixels() -> None:
    # Image 1: dice 1 and 0; image 2: dice 0.5 and 1 (both empty).
    both = counts([[10, 0], [1, 0]], [[0, 3], [1, 0]], [[0, 0], [1, 0]])
    assert scores.dice(both).tolist() == [[1.0, 0.0], [0.5, 1.0]]
    assert scores.mean(scores.dice(both)) == pytest.approx(0.625)
    assert scores.per_image(scores.dice(both)).tolist() == [0.5, 0.75]
    assert scores.micro(scores.dice, both) == pytest.approx((22 / 24 + 0) / 2)
