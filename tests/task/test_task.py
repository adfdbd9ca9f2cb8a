"""The task's specification is its docstring; these tests follow it step by step with code of their own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.task.load import load_task
from edge.task.resample import nearest
from edge.task.task import SegmentationTask

RNG = np.random.default_rng(11)
COLOUR = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (37, 53), dtype=np.uint8)
SIZES = [(37, 53), (16, 16), (64, 80), (19, 100), (1, 1), (36, 54)]


# ------------------------------------------------------------------------------------------- preprocessing


def luma(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = (rgb[..., c].astype(np.int64) for c in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


KERNELS = {
    "bilinear": (lambda x: max(0.0, 1.0 - abs(x)), 1.0),
    "bicubic": (cubic, 2.0),
    "area": (lambda x: 1.0 if -0.5 < x <= 0.5 else 0.0, 0.5),
}


def resample_rows(array: np.ndarray, out: int, kernel: str) -> np.ndarray:
    """One pass along axis 0 by the docstring: widened kernel, 22-bit integer weights, rounded to uint8."""
    function, support = KERNELS[kernel]
    size = array.shape[0]
    if size == out:
        return array
    scale = size / out
    widen = max(scale, 1.0)
    result = np.empty((out, *array.shape[1:]), np.uint8)
    for i in range(out):
        centre = (i + 0.5) * scale
        low = max(int(centre - support * widen + 0.5), 0)
        high = min(int(centre + support * widen + 0.5), size)
        weights = np.array([function((j + low - centre + 0.5) / widen) for j in range(high - low)])
        scaled = weights / weights.sum() * (1 << 22)
        whole = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)
        total = np.tensordot(whole, array[low:high].astype(np.int64), axes=1) + (1 << 21)
        result[i] = np.clip(total >> 22, 0, 255)
    return result


def resample(array: np.ndarray, size: tuple[int, int], kernel: str) -> np.ndarray:
    wide = resample_rows(np.moveaxis(array, 1, 0), size[1], kernel)
    return resample_rows(np.moveaxis(wide, 0, 1), size[0], kernel)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["rgb", "grey"])
def test_resize_is_the_specification_to_the_bit(pixels: np.ndarray, kernel: str, size: tuple[int, int]) -> None:
    task = SegmentationTask(size=size, resize=kernel, channels="grey" if pixels.ndim == 2 else "rgb")
    expected = resample(pixels, size, kernel).reshape(*size, task.in_channels)
    np.testing.assert_array_equal(task.resized(pixels), expected)


@pytest.mark.parametrize(
    ("kernel", "pillow"), [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC), ("area", Image.BOX)]
)
def test_resize_is_pillows(kernel: str, pillow: Image.Resampling) -> None:
    task = SegmentationTask(size=(24, 31), resize=kernel)
    np.testing.assert_array_equal(task.resized(COLOUR), np.asarray(Image.fromarray(COLOUR).resize((31, 24), pillow)))


def test_nearest_takes_the_exact_index_at_every_size() -> None:
    for size in [1, 2, 3, 7, 31, 255, 256, 300, 333, 520]:
        row = np.arange(size, dtype=np.uint16).view(np.uint8).reshape(1, size, 2)
        for out in [1, 2, 5, 7, 15, 64, 224, 256, 352]:
            index = nearest(row, (1, out)).reshape(out, 2).copy().view(np.uint16)[:, 0]
            assert index.tolist() == [math.floor((2 * i + 1) * size / (2 * out)) for i in range(out)]


def test_nearest_is_used_for_images_too() -> None:
    task = SegmentationTask(size=(20, 30), resize="nearest")
    np.testing.assert_array_equal(task.resized(COLOUR), nearest(COLOUR, (20, 30)))
    grey = SegmentationTask(size=(20, 30), resize="nearest", channels="grey")
    np.testing.assert_array_equal(grey.resized(GREY)[..., 0], nearest(GREY, (20, 30)))


def test_channels() -> None:
    size = (37, 53)
    np.testing.assert_array_equal(SegmentationTask(size=size).resized(COLOUR), COLOUR)
    np.testing.assert_array_equal(SegmentationTask(size=size, channels="bgr").resized(COLOUR), COLOUR[..., ::-1])
    np.testing.assert_array_equal(SegmentationTask(size=size, channels="grey").resized(COLOUR)[..., 0], luma(COLOUR))
    np.testing.assert_array_equal(SegmentationTask(size=size).resized(GREY), np.repeat(GREY[..., None], 3, axis=2))


def test_luma_is_exact_for_every_grey_and_pure_colour() -> None:
    ramp = np.zeros((4, 256, 3), np.uint8)
    for row, channels in enumerate([(0,), (1,), (2,), (0, 1, 2)]):
        ramp[row][:, channels] = np.arange(256)[:, None]
    task = SegmentationTask(size=(4, 256), channels="grey")
    np.testing.assert_array_equal(task.resized(ramp)[..., 0], luma(ramp))
    assert task.resized(ramp)[3, :, 0].tolist() == list(range(256))


def test_fixed_normalisation_is_computed_in_double_and_stored_in_single() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    task = SegmentationTask(size=(37, 53), mean=mean, std=std)
    expected = ((COLOUR.astype(np.float64) / 255.0 - mean) / std).astype(np.float32).transpose(2, 0, 1)
    result = task.preprocess(COLOUR)
    assert result.dtype == np.float32
    assert result.shape == (3, 37, 53)
    np.testing.assert_array_equal(result, expected)


def test_one_mean_serves_all_channels() -> None:
    one = SegmentationTask(size=(8, 8), mean=(0.5,), std=(0.25,)).preprocess(COLOUR)
    each = SegmentationTask(size=(8, 8), mean=(0.5,) * 3, std=(0.25,) * 3).preprocess(COLOUR)
    np.testing.assert_array_equal(one, each)


def test_bgr_statistics_belong_to_the_channels_in_their_order() -> None:
    task = SegmentationTask(size=(37, 53), channels="bgr", mean=(0.1, 0.2, 0.3))
    expected = (COLOUR[..., 2] / 255.0 - 0.1).astype(np.float32)
    np.testing.assert_array_equal(task.preprocess(COLOUR)[0], expected)


def test_minmax_stretches_each_image_over_all_its_channels() -> None:
    task = SegmentationTask(size=(37, 53), normalize="minmax")
    pixels = COLOUR // 4 + 20
    low, high = int(pixels.min()), int(pixels.max())
    expected = ((pixels.astype(np.float64) - low) / (high - low + 1e-6)).astype(np.float32).transpose(2, 0, 1)
    np.testing.assert_array_equal(task.preprocess(pixels), expected)
    assert task.preprocess(pixels).min() == 0.0
    assert 0.9999 < task.preprocess(pixels).max() <= 1.0


def test_minmax_looks_at_the_resized_image() -> None:
    pixels = np.full((64, 64), 100, np.uint8)
    pixels[:8, :8] = 255  # a sixteenth of its quarter, so ten levels once resized
    task = SegmentationTask(size=(2, 2), channels="grey", normalize="minmax", resize="area")
    assert task.resized(pixels).max() == 110
    assert task.preprocess(pixels).max() == pytest.approx(1.0, abs=1e-6)


def test_minmax_of_a_flat_image_is_zero() -> None:
    task = SegmentationTask(size=(4, 4), channels="grey", normalize="minmax")
    assert not task.preprocess(np.full((9, 9), 77, np.uint8)).any()


# ------------------------------------------------------------------------------------------ postprocessing


def decide(task: SegmentationTask, *maps: list[float]) -> list[int]:
    return task.decide(np.array(maps, np.float32)[:, None])[0].tolist()


def test_sigmoid_logits_meet_the_threshold_on_the_logit() -> None:
    half = SegmentationTask(size=(1, 3))
    assert decide(half, [-1e-7, 0.0, 1e-7]) == [0, 1, 1]
    cut = np.float32(math.log(0.7 / 0.3))
    strict = SegmentationTask(size=(1, 3), threshold=0.7)
    below = np.nextafter(cut, np.float32(0))
    assert decide(strict, [below, cut, 2.0]) == [0, 1, 1]


def test_probabilities_meet_it_as_they_are() -> None:
    task = SegmentationTask(size=(1, 3), output="probabilities", threshold=0.3)
    assert decide(task, [0.29999, np.float32(0.3), 0.31]) == [0, 1, 1]
    unactivated = SegmentationTask(size=(1, 3), activation="none", threshold=0.3)
    assert decide(unactivated, [0.29999, np.float32(0.3), 0.31]) == [0, 1, 1]


def test_two_softmax_maps_use_the_threshold_on_their_difference() -> None:
    two = ("background", "polyp")
    logits = SegmentationTask(size=(1, 4), classes=two, activation="softmax")
    assert decide(logits, [1.0, 1.0, 3.0, -5.0], [1.0, 1.1, 2.0, -4.0]) == [1, 1, 0, 1]
    sure = SegmentationTask(size=(1, 2), classes=two, activation="softmax", threshold=0.9)
    assert decide(sure, [0.0, 0.0], [math.log(9) - 0.01, math.log(9) + 0.01]) == [0, 1]
    probabilities = SegmentationTask(
        size=(1, 2), classes=two, activation="softmax", output="probabilities", threshold=0.9
    )
    assert decide(probabilities, [0.11, 0.09], [0.89, 0.91]) == [0, 1]


def test_more_maps_take_the_largest_and_the_lowest_index_on_ties() -> None:
    task = SegmentationTask(size=(1, 4), classes=("a", "b", "c"), activation="softmax")
    assert decide(task, [1, 0, 2, 0], [1, 5, 2, 3], [1, 4, 2, 3]) == [0, 1, 0, 1]


def test_not_a_number_is_background() -> None:
    assert decide(SegmentationTask(size=(1, 1)), [math.nan]) == [0]


def test_labels_return_to_the_images_size_by_nearest() -> None:
    task = SegmentationTask(size=(2, 2))
    output = np.array([[[1.0, -1.0], [-1.0, 1.0]]], np.float32)
    assert task.labels(output, (3, 4)).tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert task.labels(output, (2, 2)).dtype == np.uint8
    assert nearest(np.array([[0, 1, 2]], np.uint8), (2, 1)).tolist() == [[1], [1]]


def test_foreground_classes() -> None:
    assert SegmentationTask(size=(1, 1), classes=("polyp",)).foreground == ((1, "polyp"),)
    three = SegmentationTask(size=(1, 1), classes=("ground", "liver", "tumour"), activation="softmax")
    assert three.foreground == ((1, "liver"), (2, "tumour"))
    assert three.maps == 3


# ------------------------------------------------------------------------------------------------ bad input

GOOD = {"size": [256, 256], "channels": "rgb", "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "classes": ["polyp"]}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"size": None}, "size"),
        ({"size": [256]}, r"size = \[256\] must be \[height, width\]"),
        ({"size": [0, 256]}, "must be"),
        ({"size": [256.0, 256]}, "must be"),
        ({"size": [True, 256]}, "must be"),
        ({"size": "ab"}, "must be"),
        ({"channels": "rgba"}, "channels = 'rgba' is not one of rgb, bgr, grey"),
        ({"channels": ["a", "b"]}, "mean has 3 values for 2 channels"),
        ({"channels": ["a", "b", "a"]}, "must be rgb, bgr, grey, or a list of distinct names or numbers"),
        ({"channels": ["a", 1, 2]}, "mixes names and numbers"),
        ({"resize": "lanczos"}, "resize = 'lanczos' is not one of bilinear, bicubic, area, nearest"),
        ({"mean": [0.1, 0.2]}, "mean has 2 values for 3 channels"),
        ({"mean": 0.5}, "mean = 0.5 must be a list of numbers"),
        ({"mean": ["0.5"]}, "must be a list of numbers"),
        ({"mean": [math.nan]}, "must be a list of numbers"),
        ({"std": [1.0, 0.0, 1.0]}, "must not be 0"),
        ({"std": [math.inf]}, "must be a list of numbers"),
        ({"scale": 0}, "must not be 0"),
        ({"scale": "255"}, "scale, threshold and pad_value must be numbers"),
        ({"classes": []}, "0 classes; name at least the foreground"),
        ({"classes": "polyp"}, "must be a list of distinct names"),
        ({"classes": [1, 2], "activation": "softmax"}, "must be a list of distinct names"),
        ({"classes": ["a", "a"], "activation": "softmax"}, "must be a list of distinct names"),
        ({"classes": [str(i) for i in range(257)], "activation": "softmax"}, "at most 256"),
        ({"classes": ["a", "b"]}, "a sigmoid for each of several classes"),
        ({"activation": "softmax"}, "softmax over one class is always 1"),
        ({"threshold": 0.0}, "must lie between 0 and 1"),
        ({"threshold": 1}, "must lie between 0 and 1"),
        ({"threshold": math.nan}, "must lie between 0 and 1"),
        ({"threshold": "0.5"}, "must be numbers"),
        ({"output_name": 3}, "output_name = 3 is not a name"),
        ({"treshold": 0.5}, r"unknown task key 'treshold'; did you mean threshold\?; known keys are"),
    ],
)
def test_a_wrong_task_names_file_and_fault(change: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=rf"^task\.toml: .*{fault}"):
        SegmentationTask.from_table({**GOOD, **change}, "task.toml")


def test_a_task_without_size_says_what_to_add() -> None:
    with pytest.raises(InputError, match=r"add size = \[height, width\]"):
        SegmentationTask.from_table({"channels": "rgb"}, "task.toml")


def test_task_survives_toml_and_json(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text(
        '[task]\nsize = [64, 48]\nchannels = "bgr"\nresize = "area"\nmean = [0.1, 0.2, 0.3]\nstd = [1, 2, 3]\n'
        'classes = ["background", "polyp"]\nactivation = "softmax"\noutput_name = "o_f"\nthreshold = 0.4\n'
    )
    task = load_task(path)
    assert (task.size, task.classes, task.std) == ((64, 48), ("background", "polyp"), (1, 2, 3))
    import json

    assert SegmentationTask.from_table(json.loads(task.to_json()), path) == task
    assert "output_name" not in SegmentationTask(size=(8, 8)).to_table()


@pytest.mark.parametrize(
    ("text", "fault"),
    [("size = [1, 1]\n", r"no \[task\] table"), ("[task\n", "is not valid TOML"), (None, "no such file")],
)
def test_a_wrong_task_file(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "task.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"task\.toml: {fault}"):
        load_task(path)


def test_figures_of_grey_levels_behind_a_scale_to_one_are_told() -> None:
    """mean = [123.675, ...] of a framework that leaves levels as they are: all that is left is one value."""
    figures = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    with pytest.raises(InputError, match=r"are of grey levels, which scale = 255 brings to \[0, 1\].*; set scale = 1"):
        SegmentationTask(size=(8, 8), **figures)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    ours = SegmentationTask(size=(8, 8), scale=1.0, **figures).preprocess(image)
    wanted = (image - np.array(figures["mean"])) / np.array(figures["std"])
    np.testing.assert_allclose(ours, wanted.transpose(2, 0, 1), atol=1e-5)
