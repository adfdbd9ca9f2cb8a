"""What a refusal tells to paste leads to the numbers of the training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import InputError
from edge.task.intensity import Intensity
from edge.task.plane import as_plane
from edge.task.statistics import Statistics
from edge.task.task import SegmentationTask

TWELVE_BIT = np.random.default_rng(0).integers(200, 3700, (8, 8)).astype(np.uint16)


def test_a_task_that_stretches_each_image_is_told_to_stretch_its_own_values() -> None:
    task = SegmentationTask(size=(8, 8), channels="grey", normalize="minmax", classes=("blob",), activation="sigmoid")
    with pytest.raises(InputError, match=r'\[task\.intensity\] scope = "image" \(minmax of the values as they are\)'):
        task.preprocess(as_plane(TWELVE_BIT))
    told = replace(task, intensity=Intensity(scope="image"))
    low, high = float(TWELVE_BIT.min()), float(TWELVE_BIT.max())
    expected = (TWELVE_BIT - low) / (high - low + 1e-6)
    np.testing.assert_allclose(told.preprocess(as_plane(TWELVE_BIT))[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "bits", "told"),
    [
        (TWELVE_BIT, None, "0, 4095"),
        (TWELVE_BIT, 16, "0, 4095"),  # a TIFF says how wide its fields are, not what the detector fills
        (TWELVE_BIT, 14, "0, 16383"),
        (TWELVE_BIT + np.uint16(60000), None, "0, 65535"),
        (TWELVE_BIT.astype(np.int16) - 1000, None, f"{int(TWELVE_BIT.min()) - 1000}, {int(TWELVE_BIT.max()) - 1000}"),
        (np.array([[0.25, 2.5]], np.float32), None, "0.25, 2.5"),
    ],
)
def test_a_task_of_fixed_figures_is_told_the_range(values: NDArray[Any], bits: int | None, told: str) -> None:
    task = SegmentationTask(size=(8, 8), channels="grey", classes=("blob",), activation="sigmoid")
    with pytest.raises(InputError, match=rf"\[task\.intensity\] range = \[{told}\]"):
        replace(task, mean=(0.5,), std=(0.25,)).preprocess(replace(as_plane(values), bits_stored=bits))


@pytest.mark.parametrize(
    ("intensity", "normalize", "refused"),
    [
        (Intensity(range=(0, 4095)), "fixed", "0 to 4095"),
        (Intensity(range=(0, 1023)), "fixed", "0 to 1023"),
        (Intensity(window=(-600, 1500)), "fixed", "-1350 to 150"),  # the lung in HU
        (Intensity(range=(0, 4095), scope="set"), "zscore", "0 to 4095"),
        (Intensity(range=(0, 255)), "fixed", None),
        (Intensity(range=(0, 1)), "fixed", None),  # two levels
        (Intensity(window=(40, 400)), "fixed", None),  # 0 to 240 of -160 to 240
        (Intensity(range=(0, 4095)), "minmax", None),  # of the image itself, whatever its depth
        (Intensity(range=(0, 4095)), "zscore", None),
        (Intensity(percentile=(1, 99)), "fixed", None),
        (Intensity(percentile=(1, 99), scope="set", learned=Statistics(((90, 3000),))), "fixed", "90 to 3000"),
        (Intensity(percentile=(1, 99), scope="set", learned=Statistics(((3, 240),))), "fixed", None),
        (
            Intensity(percentile=(1, 99), scope="set", learned=Statistics(((9, 3000),), ((0, 1),))),
            "minmax",
            "9 to 3000",
        ),
        (Intensity(scope="set", learned=Statistics((), ((0, 4095),))), "minmax", "0 to 4095"),
        (Intensity(scope="set", learned=Statistics((), ((0, 250),))), "minmax", None),
        (Intensity(scope="set", learned=Statistics((), ((1500, 600),))), "zscore", "300 to 2700"),
        (Intensity(scope="set", learned=Statistics((), ((-500, 300),))), "zscore", "-1100 to 100"),  # CT
        (Intensity(scope="set", learned=Statistics((), ((30, 60),))), "zscore", None),
        (Intensity(scope="set", learned=Statistics((), ((127.5, 127.5),))), "zscore", None),  # half black, half white
    ],
)
def test_bytes_are_refused_by_a_task_of_wider_values_only(
    intensity: Intensity, normalize: str, refused: str | None
) -> None:
    task = SegmentationTask(size=(8, 8), channels="grey", scale=1.0, normalize=normalize, intensity=intensity)
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    if refused is not None:
        with pytest.raises(InputError, match=f"holds uint8, 0…252, but its task reads values from {refused}, which"):
            task.preprocess(levels)
    else:
        assert len(np.unique(task.preprocess(levels))) > 1


@pytest.mark.parametrize(
    ("scale", "mean", "std", "refused"),
    [
        (65535.0, 0.0, 1.0, "0 to 65535"),
        (1023.0, 0.485, 0.229, "27.621 to 964.689"),
        (1000.0, 0.12, 0.05, None),  # figures of bytes behind a scale of one's own
        (510.0, 0.0, 1.0, None),
        (255.0, 0.5, 0.5, None),
        (1.0, 127.5, 127.5, None),
        (1.0, 0.0, 255.0, None),
    ],
)
@pytest.mark.parametrize("intensity", [None, Intensity()])
def test_bytes_are_refused_behind_a_scale_of_wider_values(
    intensity: Intensity | None, scale: float, mean: float, std: float, refused: str | None
) -> None:
    task = SegmentationTask(size=(8, 8), channels="grey", scale=scale, mean=(mean,), std=(std,), intensity=intensity)
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    if refused is not None:
        with pytest.raises(InputError, match=f"its task reads values from {refused}, which 8 bits do not hold"):
            task.preprocess(levels)
    else:
        assert len(np.unique(task.preprocess(levels))) == 64
