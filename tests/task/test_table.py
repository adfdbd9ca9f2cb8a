"""Keys that tasks have learnt: read, refused, and written back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.files import read_toml
from edge.task.decide import IGNORED, class_maps, counted
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from edge.task.tiles import Tile

EVERYTHING = """
size = [64, 48]
channels = ["t1", "t1ce", "t2", "flair"]
fit = "tile"
pad_value = -0.5
tile = { overlap = 0.5, blend = "mean" }
classes = ["whole", "core", "enhancing"]
labels = "overlapping"
thresholds = [0.5, 0.5, 0.4]
ignore = 255
upsample = "bilinear"
[intensity]
percentile = [0.5, 99.5]
nonzero = true
scope = "volume"
"""


Read = Callable[[str], SegmentationTask]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A task from the lines of its table."""

    def parse(text: str) -> SegmentationTask:
        path = tmp_path / "task.toml"
        path.write_text(text)
        return SegmentationTask.from_table(read_toml(path), "task.toml")

    return parse


def test_every_key_is_read_and_written_back(read: Read) -> None:
    task = read(EVERYTHING)
    assert task.tile == Tile(0.5, "mean")
    assert task.intensity == Intensity(percentile=(0.5, 99.5), nonzero=True, scope="volume")
    assert (task.scale, task.in_channels, task.maps, task.every_threshold) == (1.0, 4, 3, (0.5, 0.5, 0.4))
    assert SegmentationTask.from_table(json.loads(task.to_json()), "engine.json") == task
    window = read("size = [8, 8]\n[intensity]\nwindow = { center = 40, width = 400 }\n")
    assert window.intensity and window.intensity.limits == (-160.0, 240.0)
    assert SegmentationTask.from_table(window.to_table(), "x") == window
    masks = read(
        'size = [8, 8]\nclasses = ["a", "b", "c"]\nactivation = "softmax"\nmask_values = { 0 = 0, "#ff0000" = 2 }\n'
    )
    assert masks.mask_values == (("0", 0), ("#ff0000", 2))
    assert SegmentationTask.from_table(masks.to_table(), "x") == masks


def test_the_table_of_an_older_task_is_what_it_was() -> None:
    assert SegmentationTask((8, 8)).to_table() == {
        "size": [8, 8], "channels": "rgb", "resize": "bilinear", "normalize": "fixed", "scale": 255.0, "mean": [0.0],
        "std": [1.0], "classes": ["foreground"], "output": "logits", "activation": "sigmoid", "threshold": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('fitt = "tile"', r"unknown task key 'fitt'; did you mean fit\?"),
        ('fit = "letterbx"', r"fit = 'letterbx' is not one of .*did you mean letterbox\?"),
        ("[intensity]\nwindw = 3", r"unknown intensity key 'windw'; did you mean window\?"),
        ("[intensity]\nwindow = { center = 40 }", "window needs both"),
        ("[intensity]\nwindow = { center = 40, width = 0 }", "width must be above 0"),
        ("[intensity]\nrange = [240, -160]", "low < high"),
        ("[intensity]\nrange = [240]", "range = .* must be two numbers"),
        ("[intensity]\nrange = [0, 1]\npercentile = [1, 99]", "intensity has range and percentile; keep one"),
        ("[intensity]\npercentile = [1, 101]", "percentile must be"),
        ('[intensity]\nscope = "set"', 'scope = "set", but nothing is taken from images'),
        ('[intensity]\nscope = "sett"', r"did you mean set\?"),
        ("intensity = 3", "intensity is not a table"),
        ("tile = { overlap = 1.0 }", "overlap = 1.0 must be a share"),
        ('tile = { blend = "max" }', "blend = 'max' is not one of gaussian, mean"),
        ('labels = "overlaping"', "is not one of exclusive, overlapping"),
        ('labels = "overlapping"\nactivation = "softmax"\nclasses = ["a", "b"]', "softmax lets one win"),
        ('labels = "overlapping"\nclasses = ["a", "b"]\nthresholds = [0.1, 0.2, 0.3]', "3 thresholds for 2 classes"),
        ('labels = "overlapping"\nthresholds = [1.5]', "must lie between 0 and 1"),
        ("thresholds = [0.5]", 'thresholds are for labels = "overlapping"'),
        ("mask_values = { 85 = 2 }", "85 = 2 is no class"),
        ("mask_values = { red = 1 }", "neither a number nor #rrggbb"),
        ('ignore = "255"', "ignore = '255' must be"),
        ('normalize = "zscore"\nmean = [0.5]', "are not used by normalize = .zscore.; it takes both from the images"),
        ('normalize = "minmax"\nmean = [0.485]', "mean = .0.485. and std = .1.0. are not used by normalize = .minmax."),
        ('normalize = "minmax"\nstd = [0.5]', "are not used by normalize = .minmax.; leave them out"),
        ('normalize = "minmax"\nmean = [0.5]\n[intensity]\npercentile = [1, 99]', "are not used by normalize"),
        (
            "scale = 255\n[intensity]\nrange = [0, 4095]",
            "scale = 255 divides values that .* brings to .0, 1. before",
        ),
        ("scale = 255\n[intensity]\npercentile = [1, 99]", "scale = 255 divides values that .* set scale = 1"),
        (
            "mean = [1500]\nstd = [600]\n[intensity]\nrange = [0, 4095]",
            "of the image's own values.* give those of",
        ),
        ('classes = ["a", "b"]', 'add labels = "overlapping"'),
        ('pad_value = nan\nfit = "crop"', "pad_value must be a finite number"),
    ],
)
def test_wrong_keys_say_what_they_must_be(read: Read, lines: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"^task\.toml: .*{said}"):
        read("size = [8, 8]\n" + lines)


def test_class_indices_that_the_graph_decided(read: Read) -> None:
    task = read('size = [2, 2]\nclasses = ["ground", "a", "b"]\noutput = "labels"\nactivation = "none"\n')
    assert task.maps == 1
    output = np.array([[[0, 2], [1, 2]]], np.int64)
    assert task.labels(output, (4, 2)).tolist() == [[0, 2], [0, 2], [1, 2], [1, 2]]
    with pytest.raises(InputError, match="class index 3, but the task names 3 classes"):
        task.labels(output + 1, (2, 2))


def test_class_maps_and_ignored_pixels(read: Read) -> None:
    three = read('size = [1, 3]\nclasses = ["ground", "a", "b"]\nactivation = "softmax"\nignore = 255\n')
    truth = np.array([[1, 2, IGNORED]], np.uint8)
    assert [m.tolist() for m in class_maps(truth, three)] == [[[True, False, False]], [[False, True, False]]]
    assert counted(truth, three).tolist() == [[True, True, False]]
    both = read('size = [1, 2]\nclasses = ["a", "b"]\nlabels = "overlapping"\n')
    assert both.foreground == ((1, "a"), (2, "b"))
    assert [m.tolist() for m in class_maps(np.array([[[1, 0]], [[1, 1]]], np.uint8), both)] == [
        [[True, False]],
        [[True, True]],
    ]
    assert counted(truth, both) is None


def test_a_stretch_and_then_figures_are_said_by_percentiles(read: Read) -> None:
    """What the refusal of a mean beside minmax tells to write computes both steps."""
    task = read('size = [8, 8]\nchannels = "grey"\nmean = [0.4]\nstd = [0.2]\n[intensity]\npercentile = [0, 100]\n')
    levels = np.random.default_rng(0).integers(20, 200, (8, 8)).astype(np.uint8)
    stretched = (levels - levels.min()) / (int(levels.max()) - int(levels.min()))
    np.testing.assert_allclose(task.preprocess(levels)[0], (stretched - 0.4) / 0.2, atol=1e-5)
    same = read('size = [8, 8]\nnormalize = "minmax"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n')
    assert same.normalize == "minmax", "figures that change nothing are as good as none"
