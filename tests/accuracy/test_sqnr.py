import numpy as np
import pytest

from edge.accuracy.sqnr import CEILING_DB, clipped_sqnr_db, parity_db, sqnr_db
from edge.task.task import SegmentationTask

LOGITS = SegmentationTask(size=(4, 4))
PROBABILITIES = SegmentationTask(size=(4, 4), output="probabilities")


def ones(value: float = 1.0) -> np.ndarray:
    return np.full((3, 1, 4, 4), value, np.float32)


def test_a_tenth_of_the_amplitude_is_20_db() -> None:
    assert sqnr_db(ones(), ones(1.1)) == pytest.approx(20.0, abs=1e-4)
    assert parity_db(ones(100), ones(101)) == pytest.approx(40.0, abs=1e-4)


def test_the_sum_is_over_all_images_not_a_mean_of_decibels() -> None:
    signal, noisy = ones(), ones()
    noisy[0] = 2.0  # a third of the elements is off by its own size
    assert sqnr_db(signal, noisy) == pytest.approx(10 * np.log10(3), abs=1e-6)


def test_equal_silent_and_broken_outputs_stay_finite() -> None:
    assert sqnr_db(ones(), ones()) == CEILING_DB
    assert sqnr_db(ones(0), ones(0)) == CEILING_DB
    assert sqnr_db(ones(0), ones(1)) == -CEILING_DB
    for bad in (np.nan, np.inf):
        assert sqnr_db(ones(), ones(bad)) == -CEILING_DB


def test_logits_are_clipped_and_probabilities_are_not() -> None:
    reference, outputs = ones(6.0), ones(60.0)
    assert clipped_sqnr_db(reference, outputs, LOGITS) == CEILING_DB
    assert clipped_sqnr_db(reference, outputs, PROBABILITIES) < 0
    assert clipped_sqnr_db(ones(-9), ones(-6), LOGITS) == CEILING_DB


def test_huge_float32_values_do_not_overflow() -> None:
    assert sqnr_db(ones(1e30), ones(1.1e30)) == pytest.approx(20.0, abs=1e-3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        sqnr_db(ones(), ones()[:2])
    with pytest.raises(ValueError, match="cannot be compared"):
        sqnr_db(ones(), np.ones((3, 2, 4, 4), np.float32))
