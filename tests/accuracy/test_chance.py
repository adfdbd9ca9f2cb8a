"""The chance to pass elsewhere: certain with room to spare, a coin on the bar, and the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.accuracy.chance import chance_of_passing
from edge.accuracy.evaluate import Evaluation, evaluation_of
from edge.accuracy.gate import Gate
from edge.task.task import SegmentationTask

TASK = SegmentationTask(size=(1, 100))
IMAGES = 40


def _evaluation(found: list[int], groups: list[str] | None = None) -> Evaluation:
    """Images of a hundred pixels that are all foreground, so many of which were found."""
    outputs = np.full((len(found), 1, 1, 100), -1.0, np.float32)
    for image, pixels in enumerate(found):
        outputs[image, 0, 0, :pixels] = 1.0
    truth = [np.ones((1, 100), np.uint8)] * len(found)
    columns = {"patient": groups} if groups else {}
    return evaluation_of(outputs, truth, TASK, [str(n) for n in range(len(found))], columns)


REFERENCE = _evaluation([90] * IMAGES)


def test_room_to_spare_is_certain_and_a_mean_on_the_bar_is_a_coin() -> None:
    gate = Gate("dice", dice_retained=0.99)
    assert chance_of_passing(REFERENCE, REFERENCE, gate) == 1.0
    lost = _evaluation([90, 86] * (IMAGES // 2))
    mean = float(np.mean([lost.counts.tp.sum() / REFERENCE.counts.tp.sum()]))
    assert mean < 0.99
    near = Gate("near", dice_retained=0.9878)  # what it retains, to the digit
    assert 0.3 < chance_of_passing(lost, REFERENCE, near) < 0.7
    assert chance_of_passing(lost, REFERENCE, Gate("far", dice_retained=0.995)) == 0.0
    assert chance_of_passing(lost, REFERENCE, near) == chance_of_passing(lost, REFERENCE, near)


def test_images_of_one_patient_are_one_throw() -> None:
    found = [90] * (IMAGES - 8) + [80] * 8  # all that lose belong to one patient of five
    gate = Gate("dice", dice_retained=0.985)
    alone = chance_of_passing(_evaluation(found), REFERENCE, gate)
    together = chance_of_passing(_evaluation(found, [f"p{n // 8}" for n in range(IMAGES)]), REFERENCE, gate)
    assert together != alone


@pytest.mark.parametrize("bar", [0.1, 0.5, None])
def test_the_worst_image_has_a_tail(bar: float | None) -> None:
    lost = _evaluation([90] * (IMAGES - 1) + [80])
    drop = 2 * 90 / 190 - 2 * 80 / 180
    expected = 1.0 if bar is None else math.exp(-((drop / bar) ** 2))
    assert chance_of_passing(lost, REFERENCE, Gate("worst", worst_drop=bar)) == pytest.approx(expected)
