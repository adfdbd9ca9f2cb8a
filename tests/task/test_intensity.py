"""Values that are not 8-bit levels: held against MONAI's transforms and against figures by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.errors import InputError
from edge.task.intensity import Intensity
from edge.task.plane import Plane
from edge.task.task import SegmentationTask

RNG = np.random.default_rng(9)
CT = RNG.integers(-1024, 3072, (41, 37), dtype=np.int16)
MR = (RNG.random((41, 37, 4)) * 900).astype(np.float32) * (RNG.random((41, 37, 1)) > 0.4).astype(np.float32)
FOUR = ("t1", "t1ce", "t2", "flair")


def grey(intensity: Intensity, normalize: str = "fixed", **more: object) -> SegmentationTask:
    scale = 1.0 if intensity.to_unit else more.pop("scale", 1.0)
    return SegmentationTask((41, 37), "grey", normalize=normalize, scale=scale, intensity=intensity, **more)


@pytest.mark.parametrize("limits", [(-160.0, 240.0), (0.0, 1.0), (-1024.0, 3071.0)])
def test_range_and_window_are_monai_s(limits: tuple[float, float]) -> None:
    from monai.transforms import ScaleIntensityRange

    low, high = limits
    theirs = ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(CT[None].astype(np.float32))
    for intensity in (Intensity(range=limits), Intensity(window=((low + high) / 2, high - low))):
        ours = grey(intensity).preprocess(CT)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("nonzero", [False, True])
@pytest.mark.parametrize("values", [MR, np.round(MR).astype(np.uint16), np.zeros_like(MR), np.full_like(MR, 7)])
def test_zscore_is_monai_s(values: np.ndarray, nonzero: bool) -> None:
    from monai.transforms import NormalizeIntensity

    theirs = NormalizeIntensity(nonzero=nonzero, channel_wise=True)(values.transpose(2, 0, 1).astype(np.float64))
    task = SegmentationTask((41, 37), FOUR, normalize="zscore", intensity=Intensity(nonzero=nonzero))
    np.testing.assert_allclose(task.preprocess(values), np.asarray(theirs), rtol=0, atol=1e-6)


def test_percentiles_are_monai_s() -> None:
    from monai.transforms import ScaleIntensityRangePercentiles

    theirs = ScaleIntensityRangePercentiles(0.5, 99.5, 0.0, 1.0, clip=True, channel_wise=True)(MR.transpose(2, 0, 1))
    task = SegmentationTask((41, 37), FOUR, scale=1.0, intensity=Intensity(percentile=(0.5, 99.5)))
    np.testing.assert_allclose(task.preprocess(MR), np.asarray(theirs), rtol=0, atol=1e-6)


def test_colours_share_their_figures_and_named_channels_do_not() -> None:
    values = np.stack([np.full((4, 4), 10), np.full((4, 4), 20), np.eye(4) * 30], axis=-1).astype(np.uint16)
    together = SegmentationTask((4, 4), "rgb", normalize="minmax", intensity=Intensity()).preprocess(values)
    assert together[0, 0, 0] == pytest.approx(1 / 3, abs=1e-6)
    each = SegmentationTask((4, 4), ("a", "b", "c"), normalize="minmax", intensity=Intensity()).preprocess(values)
    assert not each[:2].any() and each[2].max() == pytest.approx(1.0, abs=1e-6)


def test_mean_and_std_follow_the_window() -> None:
    task = grey(Intensity(range=(0, 100)), mean=(0.5,), std=(0.25,))
    assert task.preprocess(np.array([[0, 50, 200]], np.int16).repeat(41, 0)[:, [0] * 36 + [2]])[0, 0, -1] == 2.0


def test_the_windowed_twelve_bit_set_is_the_one_windowed_by_hand() -> None:
    stored = RNG.integers(0, 4096, (63, 50), dtype=np.uint16)
    by_hand = (np.clip(stored.astype(np.float64) - 864.0, 0, 400) / 400.0).astype(np.float32)
    ours = SegmentationTask((32, 32), "grey", scale=1.0, intensity=Intensity(window=(1064, 400)))
    theirs = SegmentationTask((32, 32), "grey", scale=1.0, intensity=Intensity())
    np.testing.assert_array_equal(ours.preprocess(stored), theirs.preprocess(by_hand))


def test_figures_of_a_set_are_frozen_into_the_task() -> None:
    task = SegmentationTask(
        (8, 8), ("a", "b"), normalize="zscore", intensity=Intensity(percentile=(1, 99), scope="set")
    )
    images = [RNG.normal(100 * k, 5, (8, 8, 2)).astype(np.float32) for k in range(1, 4)]
    with pytest.raises(InputError, match="no calibration has done so yet"):
        task.preprocess(images[0])
    frozen = task.learned_from(lambda: images)
    assert frozen.frozen and frozen.intensity and frozen.intensity.learned
    pooled = np.concatenate([image[..., 1].reshape(-1) for image in images]).astype(np.float64)
    low, high = frozen.intensity.learned.levels[1]
    assert (low, high) == pytest.approx(tuple(np.percentile(pooled, (1, 99))), rel=1e-6)
    levelled = np.clip((pooled - low) / (high - low), 0, 1)
    assert frozen.intensity.learned.spread[1] == pytest.approx((levelled.mean(), levelled.std()), rel=1e-5)
    table = frozen.to_table()
    assert SegmentationTask.from_table(table, "engine.json") == frozen
    np.testing.assert_array_equal(
        SegmentationTask.from_table(table, "x").preprocess(images[0]), frozen.preprocess(images[0])
    )
    assert frozen.learned_from(lambda: images) is frozen


def test_a_volume_brings_its_figures_or_is_refused() -> None:
    task = SegmentationTask((8, 8), "grey", normalize="minmax", intensity=Intensity(scope="volume"))
    slices = [np.full((8, 8), value, np.int16) for value in (-100, 0, 300)]
    found = task.statistics(lambda: slices)
    assert found.spread == ((-100.0, 300.0),)
    middle = task.preprocess(Plane(slices[1], volume="case", statistics=found))
    assert middle[0, 0, 0] == pytest.approx(0.25, abs=1e-6)
    with pytest.raises(InputError, match="give the whole volume"):
        task.preprocess(Plane(slices[1], volume="case"))
    assert not task.preprocess(slices[1]).any()  # a picture of its own is its own volume


def test_float_resizing_is_within_rounding_of_torch() -> None:
    import torch

    values = RNG.random((16, 20, 1)).astype(np.float32)
    task = SegmentationTask((37, 45), "grey", scale=1.0, intensity=Intensity())
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(values.transpose(2, 0, 1)[None]), (37, 45), mode="bilinear"
    )
    np.testing.assert_allclose(task.preprocess(values), theirs[0].numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Plane(np.array([[0, 3071]], np.uint16), source="a.png", bits_stored=12), "uint16, 0…3071, 12 bits stored"),
        (Plane(np.array([[-1024, 500]], np.int16), source="a.dcm"), "a.dcm: holds int16, -1024…500"),
        (Plane(np.array([[0.0, 1.5]], np.float32), source="a.npy"), "float32, 0…1.5"),
    ],
)
def test_values_beyond_a_task_are_refused_with_the_line_to_paste(image: Plane, said: str) -> None:
    task = SegmentationTask((8, 8))
    for call in (task.preprocess, task.resized, lambda i: list(task.inputs(i))):
        with pytest.raises(InputError) as error:
            call(image)
        assert said in str(error.value)
        pasted = str(error.value).split("range = ")[1].split("]")[0] + "]"
        low, high = (float(v) for v in pasted.strip("[]").split(","))
        assert low <= image.values.min() and high >= image.values.max()
        fixed = replace(task, scale=1.0, intensity=Intensity(range=(low, high)))
        assert fixed.preprocess(image).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("channels", "found", "said"),
    [
        ("rgb", 4, r'names? .*channels = \["c0", "c1", "c2", "c3"\]'),
        (("t1", "t2"), 3, r"task names 2 \(t1, t2\)"),
        (("z-1", "z", "z+1"), 1, "give a volume"),
        ((0, 4), 4, r"picks \[0, 4\]"),
    ],
)
def test_other_channels_are_refused(channels: object, found: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SegmentationTask((8, 8), channels).preprocess(np.zeros((4, 4, found), np.uint8))


def test_what_is_not_a_number_is_refused() -> None:
    image = np.array([[1.0, np.nan]], np.float32)
    with pytest.raises(InputError, match="1 of its values are NaN or infinite"):
        SegmentationTask((8, 8), "grey", scale=1.0, intensity=Intensity()).preprocess(image)


def test_depths_and_picked_channels() -> None:
    assert SegmentationTask((1, 1), ("z-1", "z", "z+2")).depths == (-1, 0, 2)
    assert SegmentationTask((1, 1), ("t1", "z")).depths is None
    image = np.arange(4, dtype=np.uint8)[None, None].repeat(2, 0).repeat(2, 1)
    assert SegmentationTask((2, 2), (3, 0)).resized(image)[0, 0].tolist() == [3, 0]
