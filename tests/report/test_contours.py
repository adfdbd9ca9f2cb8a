"""Outlines follow pixel edges exactly."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.report.contours import loops, outline, path


def filled(data: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill a path by the even-odd rule: a pixel is in where an odd number of upright edges lies to its left."""
    crossings = np.zeros((shape[0], shape[1] + 1), int)
    for loop in data.split("M")[1:]:
        x, y = (int(value) for value in re.match(r"(\d+) (\d+)", loop).groups())
        first = (x, y)
        steps = re.findall(r"([hv])(-?\d+)", loop)
        for kind, text in steps:
            if kind == "h":
                x += int(text)
            else:
                low, high = sorted((y, y + int(text)))
                crossings[low:high, x] += 1
                y += int(text)
        low, high = sorted((y, first[1]))  # z closes
        assert x == first[0] or y == first[1]
        crossings[low:high, x] += 1
    return (np.cumsum(crossings, axis=1)[:, :-1] % 2).astype(bool)


def test_a_rectangle():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 1:4] = True
    assert path(mask) == "M1 1h3v2h-3z"


def test_an_empty_mask_has_no_outline():
    assert path(np.zeros((4, 4), bool)) == ""
    assert outline(np.zeros((4, 4), np.uint8)) == ""


def test_pixels_that_touch_at_a_corner_are_two_loops():
    mask = np.eye(2, dtype=bool)
    assert len(loops(mask)) == 2
    assert len(loops(np.fliplr(mask))) == 2


def test_a_ring_has_an_outer_and_an_inner_loop():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    assert sorted(len(loop) for loop in loops(mask)) == [4, 4]


@pytest.mark.parametrize("seed", range(8))
def test_filling_the_outline_gives_the_mask_back(seed: int):
    rng = np.random.default_rng(seed)
    mask = rng.random((17, 23)) < (0.2, 0.5, 0.8)[seed % 3]
    assert (filled(path(mask), mask.shape) == mask).all()


def test_every_class_is_outlined():
    labels = np.zeros((4, 8), np.uint8)
    labels[:, 2:4], labels[:, 4:6] = 1, 2
    assert outline(labels) == path(labels == 1) + path(labels == 2)
