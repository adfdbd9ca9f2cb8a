"""Distances between surfaces in three dimensions equal MONAI's, per volume, in millimetres."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from edge.accuracy.compare import compare
from edge.accuracy.counts import count, stack
from edge.accuracy.evaluate import Evaluation
from edge.accuracy.volumes import Slice, VolumeSurfaces, mean_of, volume_surfaces
from edge.task.decide import IGNORED
from edge.task.task import SegmentationTask

TASK = SegmentationTask(size=(24, 24), classes=("ground", "liver", "tumour"), activation="softmax")
SPACING = (3.0, 0.8, 1.1)


def blobs(seed: int, depth: int = 9, side: int = 24) -> np.ndarray:
    """``[depth, side, side]`` of a few random balls of classes 1 and 2."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:depth, :side, :side]
    volume = np.zeros((depth, side, side), np.uint8)
    for _ in range(6):
        middle = rng.uniform(0.0, 1.0, 3) * (depth, side, side)
        near = ((z - middle[0]) * 1.7) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2
        volume[near < rng.uniform(4, 40)] = rng.integers(1, 3)
    return volume


def ours_of(found: np.ndarray, truth: np.ndarray, task: SegmentationTask = TASK) -> VolumeSurfaces:
    places = [Slice("v", index, SPACING) for index in range(len(found))]
    return volume_surfaces(list(found), list(truth), task, places)["v"]


def maps(volume: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([volume == k for k in range(3)])[None].astype(np.uint8))


@pytest.mark.parametrize("seed", range(6))
def test_hd95_and_nsd_are_monais_in_three_dimensions(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monai = pytest.importorskip("monai.metrics")
    found, truth = blobs(seed), blobs(seed + 100)
    ours = ours_of(found, truth)
    hd95 = monai.compute_hausdorff_distance(maps(found), maps(truth), False, "euclidean", 95, spacing=SPACING)
    nsd = monai.compute_surface_dice(maps(found), maps(truth), [2.0, 2.0], False, spacing=SPACING)
    np.testing.assert_allclose(ours.hd95, hd95[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.nsd, nsd[0].numpy(), atol=1e-6)


def test_a_class_that_only_one_side_has_is_undefined_and_scores_nothing() -> None:
    truth = np.zeros((5, 24, 24), np.uint8)
    truth[1:4, 5:9, 5:9] = 1
    ours = ours_of(truth * 0, truth)
    assert np.isnan(ours.hd95).all()
    assert ours.nsd[0] == 0.0 and np.isnan(ours.nsd[1])


def test_pixels_that_are_not_counted_are_of_no_surface() -> None:
    task = SegmentationTask(size=(24, 24), classes=TASK.classes, activation="softmax", ignore=255)
    truth = blobs(3)
    found, hidden = truth.copy(), truth.copy()
    found[:, 20:, 20:], hidden[:, 20:, 20:] = 2, IGNORED
    truth[:, 20:, 20:] = 0
    clean = truth.copy()
    np.testing.assert_array_equal(ours_of(found, hidden, task).hd95, ours_of(clean, truth).hd95)


def test_slices_that_were_left_out_are_outside() -> None:
    """Of a ball's slices 0 to 4 without 2, the slices beside the gap are surface altogether, on both sides alike."""
    truth = np.zeros((5, 24, 24), np.uint8)
    truth[:, 4:20, 4:20] = 1
    found = truth.copy()
    found[:, 10:12, 10:12] = 0  # a hole deep inside, which only a surface beside a gap reaches
    places = [Slice("v", index, (1.0, 1.0, 1.0)) for index in (0, 1, 3, 4)]
    kept = [0, 1, 3, 4]
    one = volume_surfaces(list(found[kept]), list(truth[kept]), TASK, places)["v"]
    assert one.hd95[0] <= 1.5  # every pixel of every slice is surface, so the hole is nowhere far from it


def evaluation(volumes: dict[str, np.ndarray], known: bool = True) -> Evaluation:
    labels = [plane for volume in volumes.values() for plane in volume]
    truth = [plane for seed in range(len(volumes)) for plane in blobs(seed)]
    names = [f"{name}#{index:04d}" for name, volume in volumes.items() for index in range(len(volume))]
    places = tuple(Slice(name.split("#")[0], int(name.split("#")[1]), SPACING) if known else None for name in names)
    columns = {"volume": tuple(name.split("#")[0] for name in names)}
    counts = stack(count(a, b, TASK) for a, b in zip(labels, truth, strict=True))
    outputs = np.zeros((len(labels), 3, 2, 2), np.float32)
    return Evaluation(TASK, tuple(names), counts, outputs, labels, truth, columns, (), places)


def test_cases_have_their_own_distances_beside_those_of_slices() -> None:
    same = evaluation({"a": blobs(0), "b": blobs(1)})
    other = evaluation({"a": blobs(10), "b": blobs(1)})
    cases = compare(other, same).cases
    assert cases is not None
    first, second = cases.rows
    expected = ours_of(blobs(10), blobs(0))
    assert first.hd95 == pytest.approx(np.nanmean(expected.hd95))
    assert first.nsd == pytest.approx(np.nanmean(expected.nsd))
    assert (second.hd95, second.nsd, first.reference_hd95, first.reference_nsd) == (0.0, 1.0, 0.0, 1.0)
    assert cases.hd95 == pytest.approx((first.hd95 + second.hd95) / 2)
    unknown = compare(evaluation({"a": blobs(10)}, False), evaluation({"a": blobs(0)}, False)).cases
    assert unknown is not None and unknown.hd95 is None and unknown.rows[0].nsd is None


def test_a_mean_over_volumes_leaves_out_what_is_undefined() -> None:
    nothing = float("nan")
    volumes = {
        "a": VolumeSurfaces(np.array([2.0, nothing]), np.array([0.5, nothing])),
        "b": VolumeSurfaces(np.array([nothing, nothing]), np.array([0.0, nothing])),
    }
    assert mean_of(volumes, ["a", "b", "b"]) == (2.0, 0.25)
    assert mean_of(volumes, ["c"]) == (None, None)
