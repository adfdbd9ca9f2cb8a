import numpy as np
import pytest

from edge.accuracy.compare import compare
from edge.accuracy.distance import hd95_and_nsd
from edge.accuracy.evaluate import evaluate


def hd95(labels: np.ndarray, truth: np.ndarray, level: int = 1) -> float:
    return hd95_and_nsd(labels == level, truth == level)[0]


def square(top: int, left: int, side: int, shape: tuple[int, int] = (40, 40)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def brute(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The definition, without scipy: every outline pixel against every other."""

    def outline(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask.astype(bool), 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & padded[1:-1, 1:-1]
        return np.argwhere(mask.astype(bool) & ~inner)

    a, b = outline(ours), outline(theirs)
    apart = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    return max(np.percentile(apart.min(axis=1), 95), np.percentile(apart.min(axis=0), 95))


def test_equal_outlines_are_0_apart_and_a_shift_is_its_length() -> None:
    assert hd95(square(5, 5, 9), square(5, 5, 9)) == 0.0
    assert hd95(square(5, 5, 1), square(8, 9, 1)) == 5.0
    assert hd95(square(0, 0, 40), square(0, 0, 40)) == 0.0


def test_it_is_symmetric_and_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = ((rng.random((24, 31)) > share).astype(np.uint8) for share in rng.uniform(0.2, 0.98, 2))
        if not (a.any() and b.any()):
            continue
        assert hd95(a, b) == pytest.approx(brute(a, b), abs=1e-9)
        assert hd95(a, b) == hd95(b, a)


def test_an_outlier_of_under_5_percent_does_not_count() -> None:
    disc = square(5, 5, 20)
    speck = disc.copy()
    speck[39, 39] = 1
    assert hd95(speck, disc) == 0.0


def test_undefined_where_a_mask_is_empty() -> None:
    empty = np.zeros((40, 40), np.uint8)
    assert np.isnan(hd95(empty, square(1, 1, 3)))
    assert np.isnan(hd95(square(1, 1, 3), empty))
    assert np.isnan(hd95(empty, empty))


def test_each_class_has_its_own_outline() -> None:
    labels = square(2, 2, 5) + 2 * square(20, 20, 5)
    truth = square(2, 2, 5) + 2 * square(20, 23, 5)
    assert hd95(labels, truth, 1) == 0.0
    assert hd95(labels, truth, 2) == 3.0


def test_undefined_cases_are_counted_apart(images, task, reference) -> None:
    blind = evaluate(lambda batch: np.full_like(batch, -9), images, task)
    found = compare(blind, reference).hd95
    assert found is not None
    assert (found.defined, found.one_empty, found.both_empty) == (0, 24, 0)
    assert found.mean is None
    assert found.reference_mean == pytest.approx(np.nanmean(reference.surfaces.hd95))
    same = compare(reference, reference).hd95
    assert same is not None
    assert (same.defined, same.one_empty) == (24, 0)
    assert same.mean == same.reference_mean
    assert same.median == pytest.approx(np.median(reference.surfaces.hd95))
