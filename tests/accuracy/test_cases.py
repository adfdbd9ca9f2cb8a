"""Scores of overlapping labels, of pixels that are not counted, of classes and of cases."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from edge.accuracy import scores
from edge.accuracy.compare import Accuracy, compare
from edge.accuracy.counts import count
from edge.accuracy.evaluate import Evaluation, evaluation_of
from edge.accuracy.gate import Gate, judge
from edge.task.decide import IGNORED
from edge.task.task import SegmentationTask

RNG = np.random.default_rng(9)
OVERLAPPING = SegmentationTask(size=(16, 16), classes=("whole", "core"), overlapping=True)
THREE = SegmentationTask(size=(16, 16), classes=("ground", "liver", "tumour"), activation="softmax")


def evaluation(labels: np.ndarray, truth: np.ndarray, columns: Mapping[str, list[str]], task=THREE) -> Evaluation:
    """Of class indices, by outputs that decide for them."""
    outputs = np.stack([(labels == k) * 8.0 - 4.0 for k in range(3)], axis=1).astype(np.float32)
    return evaluation_of(outputs, list(truth), task, [f"s{i}" for i in range(len(labels))], columns)


def random_labels(count: int = 24) -> np.ndarray:
    coarse = RNG.integers(0, 3, (count, 4, 4)).astype(np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def test_overlapping_labels_are_scored_map_by_map_as_monai_does() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monai = pytest.importorskip("monai.metrics")
    ours, truth = (RNG.integers(0, 2, (2, 16, 16)).astype(np.uint8) for _ in range(2))
    metric = monai.DiceMetric(include_background=True, reduction="none", ignore_empty=False)
    theirs = metric(torch.from_numpy(ours)[None], torch.from_numpy(truth)[None]).numpy()
    np.testing.assert_allclose(scores.dice(count(ours, truth, OVERLAPPING)), theirs, atol=1e-6)


def test_pixels_that_are_ignored_count_nowhere() -> None:
    task = SegmentationTask(size=(16, 16), classes=THREE.classes, activation="softmax", ignore=255)
    ours, truth = random_labels(1)[0], random_labels(1)[0]
    left_out = RNG.random((16, 16)) < 0.3
    hidden = np.where(left_out, IGNORED, truth).astype(np.uint8)
    kept = ~left_out
    plain = count(ours[kept][None], truth[kept][None], THREE)
    for name in ("tp", "fp", "fn", "tn"):
        np.testing.assert_array_equal(getattr(count(ours, hidden, task), name), getattr(plain, name))
    maps = np.stack([truth == 1, truth == 2]).astype(np.uint8)
    maps[:, left_out] = IGNORED
    both = SegmentationTask(size=(16, 16), classes=("a", "b"), overlapping=True, ignore=255)
    np.testing.assert_array_equal(count(np.stack([ours == 1, ours == 2]).astype(np.uint8), maps, both).tp, plain.tp)


def test_a_case_is_scored_by_the_counts_of_all_its_slices() -> None:
    truth, ours = random_labels(), random_labels()
    volumes = ["a"] * 5 + ["b"] * 19
    found = compare(evaluation(ours, truth, {"volume": volumes}), evaluation(truth, truth, {"volume": volumes}))
    assert found.cases is not None and found.cases.column == found.resampled_by == "volume"
    assert found.units == 2 and [row.images for row in found.cases.rows] == [5, 19]
    for row, part in zip(found.cases.rows, (slice(0, 5), slice(5, 24)), strict=True):
        tp, sizes = ((ours[part] == k) & (truth[part] == k) for k in (1, 2)), (1, 2)
        dice = [
            2 * t.sum() / ((ours[part] == k).sum() + (truth[part] == k).sum()) for t, k in zip(tp, sizes, strict=True)
        ]
        assert row.dice == pytest.approx(np.mean(dice)) and row.reference_dice == 1.0
    assert found.cases.dice == pytest.approx(np.mean([row.dice for row in found.cases.rows]))
    assert compare(evaluation(ours, truth, {}), evaluation(truth, truth, {})).cases is None


def judged(accuracy: Accuracy, bar: float) -> tuple[str, ...]:
    return judge(Gate("x", class_retained=bar), accuracy, "fp32").reasons


def test_a_class_that_is_lost_fails_its_own_gate() -> None:
    truth = random_labels()
    truth[1:][truth[1:] == 2] = 1  # tumour on the first image alone
    blind = np.where(truth == 2, 0, truth).astype(np.uint8)
    accuracy = compare(evaluation(blind, truth, {}), evaluation(truth, truth, {}))
    liver, tumour = accuracy.classes
    assert (tumour.present, liver.present) == (1, 24)
    assert tumour.dice == pytest.approx(23 / 24)  # absent from both masks: 1, absent from one: 0
    assert tumour.retained == pytest.approx(23 / 24)
    (reason,) = judged(accuracy, 0.98)
    assert reason.startswith("Dice retained of class tumour 0.95833 is below 0.98")
    assert judged(accuracy, 0.9) == ()
    assert tumour.hd95 is None and tumour.nsd == 0.0 and liver.nsd is not None


def test_strata_know_their_classes() -> None:
    truth, ours = random_labels(), random_labels()
    columns = {"site": ["x"] * 12 + ["y"] * 12}
    found = compare(evaluation(ours, truth, columns), evaluation(truth, truth, columns), strata="site")
    for stratum, part in zip(sorted(found.strata, key=lambda s: s.name), (slice(0, 12), slice(12, 24)), strict=True):
        alone = compare(evaluation(ours[part], truth[part], {}), evaluation(truth[part], truth[part], {}))
        assert stratum.classes == alone.classes
