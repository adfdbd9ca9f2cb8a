"""Every dtype, any number of channels, every fit: 0 differing values and pixels over 40 images of odd sizes each."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.task.intensity import Intensity
from edge.task.statistics import Statistics
from edge.task.task import SegmentationTask
from edge.task.tiles import Grid, Tile
from tests.fixtures.runtime_kit import Steps

SIZE = (24, 32)
FOUR = ("t1", "t1ce", "t2", "flair")
IMAGES = 40
FITS = ("stretch", "letterbox", "crop", "tile")
WINDOW = Intensity(window=(300.0, 900.0))
PERCENTILE = Intensity(percentile=(0.5, 99.5))
OF_NONZERO = Intensity(percentile=(2.0, 98.0), nonzero=True)

# What each dtype is tried with: the task's own keys, and the channels of its images.
COMBINATIONS = {
    "uint8": (
        ({"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}, 3),
        ({"channels": "bgr", "normalize": "minmax", "resize": "area", "pad_value": 0.3}, 3),
        ({"channels": FOUR, "resize": "bicubic", "mean": (0.1, 0.2, 0.3, 0.4), "pad_value": 0.5}, 4),
        ({"channels": (4, 0), "normalize": "minmax", "resize": "nearest"}, 5),
    ),
    "uint16": (
        ({"channels": "grey", "scale": 1.0, "intensity": WINDOW, "mean": (0.4,), "std": (0.3,)}, 1),
        ({"channels": "grey", "resize": "bicubic", "normalize": "minmax", "intensity": PERCENTILE}, 3),
        ({"channels": FOUR, "normalize": "zscore", "intensity": OF_NONZERO, "pad_value": -1.5}, 4),
    ),
    "int16": (
        ({"channels": "rgb", "resize": "area", "scale": 1.0, "intensity": WINDOW, "pad_value": 0.25}, 1),
        ({"channels": ("z-1", "z", "z+1"), "normalize": "zscore", "intensity": Intensity(nonzero=True)}, 3),
        ({"channels": "grey", "normalize": "zscore", "resize": "nearest"}, 3),
    ),
    "float32": (
        ({"channels": "rgb", "resize": "bicubic", "normalize": "minmax", "intensity": OF_NONZERO}, 3),
        ({"channels": FOUR, "normalize": "zscore", "intensity": PERCENTILE}, 4),
        ({"channels": FOUR, "scale": 7.0, "std": (3.0,), "intensity": Intensity()}, 4),
    ),
}


def images(dtype: str, channels: int) -> Iterator[np.ndarray]:
    """Noise with a black background and flat stretches, of sizes below, at and above the network's."""
    random = np.random.default_rng(len(dtype) * 10 + channels)
    sizes = [(1, 1), (1, 40), (40, 1), SIZE, (24, 31), (25, 32), (48, 64), (73, 89)]
    sizes += [tuple(random.integers(2, 90, 2)) for _ in range(IMAGES - len(sizes))]
    for index, (height, width) in enumerate(sizes):
        shape = (height, width) if channels == 1 else (height, width, channels)
        if dtype == "float32":
            values = (random.normal(200, 300, shape)).astype(np.float32)
        else:
            low, high = {"uint8": (0, 256), "uint16": (0, 4096), "int16": (-1024, 3072)}[dtype]
            values = random.integers(low, high, shape).astype(dtype)
        values[: height // 3] = 0
        if index % 10 == 9:
            values[:] = 5
        yield values


def learned(normalize: str, intensity: Intensity, **figures: tuple[float, float]) -> SegmentationTask:
    """A task of grey images with such figures of a set."""
    taken = Statistics(**{name: (pair,) for name, pair in figures.items()})
    return SegmentationTask(
        SIZE, "grey", scale=1.0, normalize=normalize, intensity=replace(intensity, scope="set", learned=taken)
    )


@pytest.mark.parametrize(
    "task",
    [
        learned("minmax", Intensity(), spread=(0.0, 250.0)),
        learned("zscore", Intensity(), spread=(30.0, 60.0)),
        learned("fixed", Intensity(percentile=(1.0, 99.0)), levels=(3.0, 240.0)),
        SegmentationTask(SIZE, "grey", scale=255.0, mean=(0.5,), std=(0.25,)),
    ],
)
def test_bytes_are_taken_where_the_figures_are_those_of_bytes(steps: Steps, task: SegmentationTask) -> None:
    image = np.random.default_rng(2).integers(0, 256, (30, 20)).astype(np.uint8)
    assert np.array_equal(steps.prepare(task, image), task.preprocess(image))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("dtype", COMBINATIONS)
def test_what_the_network_sees_is_the_same(steps: Steps, dtype: str, fit: str) -> None:
    for keys, channels in COMBINATIONS[dtype]:
        task = SegmentationTask(SIZE, fit=fit, tile=Tile(0.4), **keys)  # type: ignore[arg-type]
        for image in images(dtype, channels):
            ours, theirs = steps.prepare(task, image), task.preprocess(image)
            assert np.count_nonzero(ours != theirs) == 0, f"{keys} {image.shape}"
            if fit == "tile":
                assert np.count_nonzero(steps.tiles(task, image) != np.stack(list(task.inputs(image)))) == 0


DECIDED = (
    SegmentationTask(SIZE, threshold=0.3),
    SegmentationTask(SIZE, classes=("background", "a"), activation="softmax", threshold=0.6, upsample="bilinear"),
    SegmentationTask(SIZE, classes=tuple("abcd"), activation="softmax", output="probabilities"),
    SegmentationTask(SIZE, classes=("a", "b", "c"), overlapping=True, thresholds=(0.5, 0.4, 0.8), upsample="bilinear"),
    SegmentationTask(SIZE, classes=("a", "b"), overlapping=True, output="probabilities", threshold=0.55),
)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("task", DECIDED, ids=lambda task: "-".join(task.classes) + task.upsample)
def test_what_the_mask_says_is_the_same(steps: Steps, task: SegmentationTask, fit: str) -> None:
    random = np.random.default_rng(4)
    for index in range(IMAGES):
        shape = SIZE if index == 0 else tuple(int(side) for side in random.integers(1, 100, 2))
        blend = ("gaussian", "mean")[index % 2]
        fitted = replace(task, fit=fit, tile=Tile((0.0, 0.25, 0.5)[index % 3], blend))
        rows, columns = SIZE if index % 4 else (12, 8)  # an output smaller than the network's input
        count = len(Grid(fitted.tile, shape, SIZE)) if fit == "tile" else 1
        outputs = (random.integers(-8, 9, (count, task.maps, rows, columns)) / 8).astype(np.float32)
        if fit != "tile":
            ours, theirs = steps.finish(fitted, outputs[0], shape), fitted.labels(outputs[0], shape)
        else:
            queue = iter(outputs)
            ours = steps.blend(fitted, outputs, shape)
            image = np.zeros((*shape, 3), np.uint8)
            theirs = fitted.segment(lambda batch, q=queue: np.stack([next(q) for _ in batch]), image, batch=3)
        assert ours.shape == theirs.shape
        assert np.count_nonzero(ours != theirs) == 0, f"{shape} {rows}x{columns}"


def test_class_indices_of_the_graph(steps: Steps) -> None:
    task = SegmentationTask(SIZE, classes=("ground", "a", "b"), output="labels", activation="none", fit="letterbox")
    indices = np.random.default_rng(0).integers(0, 3, (1, *SIZE)).astype(np.float32)
    assert np.array_equal(steps.finish(task, indices, (50, 31)), task.labels(indices, (50, 31)))
    with pytest.raises(InputError, match="beyond the task's classes"):
        steps.finish(task, indices + 1, (50, 31))


def test_figures_of_a_set_travel_in_the_task(steps: Steps) -> None:
    task = SegmentationTask(SIZE, FOUR, normalize="zscore", intensity=replace(OF_NONZERO, scope="set"))
    frozen = task.learned_from(lambda: images("uint16", 4))
    for image in itertools.islice(images("uint16", 4), 5):
        assert np.array_equal(steps.prepare(frozen, image), frozen.preprocess(image))
    with pytest.raises(InputError, match="no calibration has done so"):
        steps.prepare(task, image)
    with pytest.raises(InputError, match="whole volumes, which this library does not read"):
        steps.prepare(replace(task, intensity=replace(OF_NONZERO, scope="volume")), image)


@pytest.mark.parametrize("dtype", ("uint8", "uint16", "float32"))
def test_rows_may_lie_apart(steps: Steps, dtype: str) -> None:
    intensity, scale = (None, 255.0) if dtype == "uint8" else (WINDOW, 1.0)
    task = SegmentationTask(SIZE, FOUR, scale=scale, intensity=intensity, fit="letterbox")
    image = np.random.default_rng(1).integers(0, 255, (31, 17, 4)).astype(dtype)
    for gap in (1, 3, 8):
        assert np.array_equal(steps.prepare(task, image, gap), task.preprocess(image))


@pytest.mark.parametrize(
    ("task", "image", "said"),
    [
        (SegmentationTask(SIZE), np.zeros((4, 4), np.uint16), "holds uint16 values, but its task knows 8-bit"),
        (SegmentationTask(SIZE), np.zeros((4, 4, 2), np.uint8), "has 2 channels"),
        (
            SegmentationTask(SIZE, scale=1.0, intensity=WINDOW),
            np.zeros((4, 4), np.uint8),
            "from -150 to 750, which 8 bits",
        ),
        (
            learned("minmax", Intensity(), spread=(0.0, 4095.0)),
            np.zeros((4, 4), np.uint8),
            "from 0 to 4095, which 8 bits",
        ),
        (
            learned("zscore", Intensity(), spread=(1500.0, 600.0)),
            np.zeros((4, 4), np.uint8),
            "from 300 to 2700, which 8 bits",
        ),
        (
            learned("fixed", Intensity(percentile=(1.0, 99.0)), levels=(90.0, 3000.0)),
            np.zeros((4, 4), np.uint8),
            "from 90 to 3000, which 8 bits",
        ),
        (
            SegmentationTask(SIZE, "grey", scale=1023.0, mean=(0.5,), std=(0.25,), intensity=Intensity()),
            np.zeros((4, 4), np.uint8),
            "from 0 to 1023, which 8 bits",
        ),
        (SegmentationTask(SIZE, FOUR), np.zeros((4, 4, 3), np.uint8), r"names others \(4\)"),
        (SegmentationTask(SIZE, (0, 3)), np.zeros((4, 4, 3), np.uint8), "names others"),
        (SegmentationTask(SIZE, normalize="zscore"), np.full((4, 4), np.nan, np.float32), "NaN or infinite"),
        (SegmentationTask(SIZE, "grey", normalize="zscore"), np.zeros((4, 4, 3), np.float32), "have no luma"),
    ],
)
def test_what_the_task_does_not_speak_of_is_refused(
    steps: Steps, task: SegmentationTask, image: np.ndarray, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        steps.prepare(task, image)
    with pytest.raises(InputError):
        task.preprocess(image)


@pytest.mark.parametrize("program", ("segedge-contract", "segedge-heap"))
def test_nothing_is_fused_and_no_frame_allocates(programs: Path, program: str) -> None:
    done = subprocess.run([programs / "tests" / program], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
