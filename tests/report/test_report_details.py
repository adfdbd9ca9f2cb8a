"""Which images are pictured, and what the distributions keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edge.accuracy.counts import count, stack
from edge.accuracy.evaluate import Evaluation
from edge.images.image_set import load_image_set
from edge.report.details import best_pictures, drawable, image_scores, worst_pictures
from edge.task.task import SegmentationTask

TASK = SegmentationTask(size=(16, 16), classes=("cell",))


def evaluations(lost: dict[str, list[int]], folder: Path) -> tuple[Evaluation, dict[str, Evaluation]]:
    """A perfect reference over images whose whole area is foreground; engines miss so many pixels of each."""
    images = len(next(iter(lost.values())))
    truth = np.ones((16, 16), np.uint8)

    def evaluation(missed: list[int]) -> Evaluation:
        labels = []
        for pixels in missed:
            mine = truth.copy()
            mine.flat[:pixels] = 0
            labels.append(mine)
        return Evaluation(
            task=TASK,
            names=tuple(f"a{index}" for index in range(images)),
            counts=stack([count(mine, truth, TASK) for mine in labels]),
            outputs=np.zeros((images, 1, 16, 16), np.float32),
            labels=tuple(labels),
            truth=(truth,) * images,
            columns={},
        )

    rows = ["image,mask,split"]
    for index in range(images):
        Image.fromarray(np.full((16, 16), index, np.uint8)).save(folder / f"a{index}.png")
        rows.append(f"a{index}.png,a{index}.png,test")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return evaluation([0] * images), {name: evaluation(missed) for name, missed in lost.items()}


def test_the_worst_of_every_engine_are_pictured_once_and_worst_first(tmp_path: Path):
    lost = {"int8": [0, 30, 60, 90, 0, 0], "mixed": [0, 0, 0, 40, 50, 20]}
    reference, engines = evaluations(lost, tmp_path)
    pictures = worst_pictures(load_image_set(tmp_path).split("test"), reference, engines, count=2)
    assert [p.name for p in pictures] == ["a3", "a2", "a4"]
    assert int(pictures[0].pixels[0, 0]) == 3
    assert int((pictures[0].engines["int8"] == 0).sum()) == 90


def test_an_engine_that_lost_nothing_adds_no_pictures(tmp_path: Path):
    reference, engines = evaluations({"fp32": [0, 0, 0, 0, 0], "int8": [0, 0, 0, 9, 8]}, tmp_path)
    images = load_image_set(tmp_path).split("test")
    assert [p.name for p in worst_pictures(images, reference, engines, count=2)] == ["a3", "a4"]
    assert len(worst_pictures(images, reference, {"fp32": engines["fp32"]}, count=2)) == 2


def test_dice_of_each_image_is_kept(tmp_path: Path):
    reference, engines = evaluations({"int8": [0, 128]}, tmp_path)
    scores = image_scores(reference, engines)
    assert scores.reference == (1.0, 1.0)
    assert scores.engines["int8"] == (1.0, 2 * 128 / (2 * 128 + 128))


def test_overlapping_and_ignored_pixels_are_drawable() -> None:
    both = SegmentationTask((1, 4), classes=("a", "b"), overlapping=True, ignore=255)
    labels = np.array([[[1, 1, 0, 255]], [[0, 1, 1, 255]]], np.uint8)
    assert drawable(labels, both).tolist() == [[1, 3, 2, 0]]
    one = SegmentationTask((1, 3), ignore=9)
    assert drawable(np.array([[0, 1, 255]], np.uint8), one).tolist() == [[0, 1, 0]]
    assert drawable(labels[0], TASK) is not None


def test_an_image_on_which_every_engine_gained_is_not_among_the_worst(tmp_path: Path):
    _, engines = evaluations({"bf16": [50, 50, 0], "int8": [90, 20, 0]}, tmp_path)
    images = load_image_set(tmp_path).split("test")
    found = worst_pictures(images, engines["bf16"], {"int8": engines["int8"]}, count=3)
    assert [picture.name for picture in found] == ["a0", "a2"]


def test_what_gained_visibly_is_pictured_best_first_unless_another_engine_lost_on_it(tmp_path: Path):
    reference, engines = evaluations({"bf16": [50, 90, 70, 0], "int8": [20, 0, 90, 0]}, tmp_path)
    images = load_image_set(tmp_path).split("test")
    assert best_pictures(images, reference, {"same": reference}) == ()
    found = best_pictures(images, engines["bf16"], {"int8": engines["int8"], "float": reference})
    assert [(p.name, p.gained) for p in found] == [("a1", True), ("a0", True)], "a2 gained in one and lost in the other"
