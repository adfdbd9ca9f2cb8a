"""Pre- and post-processing on the device equal the workstation's, to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from edge.device.task import read_task
from edge.task.task import SegmentationTask

BASE = SegmentationTask(size=(24, 40), mean=(0.48, 0.45, 0.40), std=(0.22, 0.21, 0.23))


@pytest.mark.parametrize("resize", ["bilinear", "bicubic", "area", "nearest"])
@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("shape", [(60, 31), (24, 40), (7, 90), (17, 40), (200, 133)])
def test_preprocess_equals_the_workstation(resize, channels, shape):
    grey = channels == "grey"
    task = replace(BASE, resize=resize, channels=channels, mean=(0.4,) if grey else BASE.mean, std=(0.2,))
    device = read_task(task.to_table())
    generator = np.random.default_rng(len(resize) * 10 + len(channels))
    for planes in ((), (3,)):
        pixels = generator.integers(0, 256, (*shape, *planes), np.uint8)
        assert np.array_equal(device.resized(pixels), task.resized(pixels))
        assert np.array_equal(device.normalized(device.resized(pixels)), task.preprocess(pixels))


def test_minmax_equals_the_workstation():
    task = replace(BASE, normalize="minmax")
    pixels = np.random.default_rng(0).integers(30, 200, (50, 61, 3), np.uint8)
    device = read_task(task.to_table())
    assert np.array_equal(device.normalized(device.resized(pixels)), task.preprocess(pixels))


@pytest.mark.parametrize(
    ("classes", "activation", "output"),
    [
        (("lesion",), "sigmoid", "logits"),
        (("lesion",), "sigmoid", "probabilities"),
        (("lesion",), "none", "logits"),
        (("background", "lesion"), "softmax", "logits"),
        (("background", "lesion"), "softmax", "probabilities"),
        (("background", "a", "b", "c"), "softmax", "logits"),
    ],
)
def test_labels_equal_the_workstation(classes, activation, output):
    task = replace(BASE, classes=classes, activation=activation, output=output, threshold=0.37)
    device = read_task(task.to_table())
    values = np.random.default_rng(1).normal(size=(len(classes), 24, 40)).astype(np.float32)
    values[:, 0, :8] = task.cut  # ties and exact thresholds
    for shape in ((24, 40), (55, 33), (9, 9)):
        assert np.array_equal(device.labels(values, shape), task.labels(values, shape))
    assert device.foreground == task.foreground
