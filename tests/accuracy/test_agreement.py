"""Our Dice, IoU and HD95 against MONAI's and TorchMetrics', on random masks and on the awkward ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from edge.accuracy import scores
from edge.accuracy.counts import Counts, count, stack
from edge.accuracy.distance import hd95_and_nsd
from edge.task.task import SegmentationTask

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow  # importing MONAI alone takes seconds

CLASSES = 4
TASK = SegmentationTask(size=(8, 8), classes=("ground", "a", "b", "c"), activation="softmax")


def blobs(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Smooth label maps, more like masks than noise is."""
    from scipy.ndimage import gaussian_filter

    fields = np.stack([gaussian_filter(rng.standard_normal(shape), 4) for _ in range(CLASSES)])
    return fields.argmax(axis=0).astype(np.uint8)


def cases() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    for index in range(12):
        shape = (int(rng.integers(9, 60)), int(rng.integers(9, 60)))
        yield f"blobs{index}", blobs(rng, shape), blobs(rng, shape)
    for index in range(6):
        yield f"noise{index}", *(rng.integers(0, CLASSES, (33, 21), dtype=np.uint8) for _ in range(2))
    full = blobs(rng, (32, 32))
    empty = np.zeros_like(full)
    dot, edge = empty.copy(), empty.copy()
    dot[15, 15] = 1
    edge[:, 0] = 1
    yield "equal", full, full
    yield "both empty", empty, empty
    yield "engine empty", empty, full
    yield "truth empty", full, empty
    yield "one pixel each", dot, np.roll(dot, (3, 4), axis=(0, 1))
    yield "on the rim", edge, dot
    yield "all foreground", np.ones_like(full), np.ones_like(full)
    yield "one class missing", np.where(full == 2, 0, full).astype(np.uint8), full


CASES = {name: (ours, truth) for name, ours, truth in cases()}


def one_hot(labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.eye(CLASSES, dtype=np.float32)[labels]).permute(2, 0, 1)[None]


def present(ours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.array([(truth == k).any() for k in range(1, CLASSES)])


@pytest.fixture(scope="module")
def monai():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("monai.metrics")


@pytest.mark.parametrize("name", CASES)
def test_dice_and_iou_are_monais(monai, name: str) -> None:
    ours, truth = CASES[name]
    counts = count(ours, truth, TASK)
    options = {"include_background": False, "ignore_empty": False}
    pair = one_hot(ours), one_hot(truth)
    dice = monai.DiceHelper(reduction="none", get_not_nans=False, **options)(*pair).numpy().ravel()
    iou = monai.compute_iou(*pair, **options).numpy().ravel()
    np.testing.assert_allclose(scores.dice(counts)[0], dice, atol=1e-6)
    np.testing.assert_allclose(scores.iou(counts)[0], iou, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_hd95_is_monais_wherever_it_is_defined(monai, name: str) -> None:
    ours, truth = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = monai.compute_hausdorff_distance(one_hot(ours), one_hot(truth), percentile=95).numpy().ravel()
    mine = np.array([hd95_and_nsd(ours == k, truth == k)[0] for k in range(1, CLASSES)])
    defined = present(ours, truth) & present(truth, ours)
    assert np.isnan(mine[~defined]).all()
    np.testing.assert_allclose(mine[defined], theirs[defined], rtol=1e-5)  # theirs are float32
    assert not np.isfinite(theirs[~defined]).any() or (theirs[~defined][np.isfinite(theirs[~defined])] == 0).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.9)])
def test_distances_in_millimetres_are_monais(monai, name: str, spacing: tuple[float, float]) -> None:
    ours, truth = CASES[name]
    pair = one_hot(ours), one_hot(truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hausdorff = monai.HausdorffDistanceMetric(percentile=95, reduction="none", include_background=False)
        theirs = hausdorff(*pair, spacing=list(spacing)).numpy().ravel()
        surface = monai.SurfaceDiceMetric([2.0] * (CLASSES - 1), include_background=False, reduction="none")
        shares = surface(*pair, spacing=list(spacing)).numpy().ravel()
    mine = np.array([hd95_and_nsd(ours == k, truth == k, spacing, 2.0) for k in range(1, CLASSES)])
    defined = present(ours, truth) & present(truth, ours)
    np.testing.assert_allclose(mine[defined, 0], theirs[defined], rtol=1e-5)
    np.testing.assert_allclose(mine[:, 1], shares, atol=1e-6)


def test_micro_scores_are_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional")
    counts = stack(count(ours, truth, TASK) for ours, truth in CASES.values())
    ours, truth = (torch.from_numpy(np.concatenate([pair[i].ravel() for pair in CASES.values()])) for i in (0, 1))
    options = {"num_classes": CLASSES, "average": "none"}
    pooled: Counts = counts.pooled()
    for mine, theirs in (
        (scores.dice, functional.classification.multiclass_f1_score),
        (scores.iou, functional.classification.multiclass_jaccard_index),
        (scores.recall, functional.classification.multiclass_recall),
        (scores.precision, functional.classification.multiclass_precision),
    ):
        np.testing.assert_allclose(mine(pooled)[0], theirs(ours, truth, **options)[1:], atol=1e-6)


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith(("blobs", "noise"))])
def test_per_image_scores_are_torchmetrics(name: str) -> None:
    segmentation = pytest.importorskip("torchmetrics.functional.segmentation")
    ours, truth = CASES[name]
    counts = count(ours, truth, TASK)
    pair = torch.from_numpy(ours)[None].long(), torch.from_numpy(truth)[None].long()
    options = {"num_classes": CLASSES, "include_background": False, "input_format": "index"}
    dice = segmentation.dice_score(*pair, average="none", **options).numpy().ravel()
    iou = segmentation.mean_iou(*pair, per_class=True, **options).numpy().ravel()
    seen = (counts.tp + counts.fp + counts.fn)[0] > 0
    np.testing.assert_allclose(scores.dice(counts)[0][seen], dice[seen], atol=1e-6)
    np.testing.assert_allclose(scores.iou(counts)[0][seen], iou[seen], atol=1e-6)
