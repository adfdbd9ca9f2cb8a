"""Masks: what a value, a colour, a map or a segment is of the task's classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from edge.errors import InputError
from edge.images.case import Case
from edge.images.masks import class_labels
from edge.images.readers.stack import Layout, Pixels
from edge.task.decide import IGNORED
from edge.task.task import SegmentationTask
from tests.fixtures.pictures import COLOUR, GREY, save

BINARY = SegmentationTask(size=(8, 8))
THREE = SegmentationTask(size=(8, 8), classes=("ground", "liver", "tumour"), activation="softmax")


def read_mask(path: Path, task: SegmentationTask) -> np.ndarray:
    image = path.with_name("image.png")
    size = Image.open(path).size
    save(image, np.zeros(size[::-1], np.uint8))
    return Case("x", (image,), (path,)).labels(0, task)


@pytest.mark.parametrize("level", [1, 127, 255])
def test_any_single_value_is_foreground(tmp_path: Path, level: int) -> None:
    mask = (GREY > 100).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", mask * level), BINARY), mask)


def test_masks_of_other_modes(tmp_path: Path) -> None:
    mask = (GREY > 100).astype(np.uint8)
    blue = np.zeros((9, 7, 3), np.uint8)
    blue[..., 2] = mask  # one colour, whose luma is 0
    alpha = np.dstack([mask * 255] * 3 + [np.full_like(mask, 255)])
    for name, array, mode in [
        ("bits", mask * 255, "1"),
        ("rgb", np.dstack([mask * 255] * 3), None),
        ("blue", blue, None),
        ("rgba", alpha, None),
        ("wide", mask.astype(np.uint16) * 65535, None),
    ]:
        np.testing.assert_array_equal(read_mask(save(tmp_path / f"{name}.png", array, mode), BINARY), mask, name)


TILES = {"#000000": 0, "#ffffff": 1, "#0000ff": 2, "#000080": 3, "#808080": 4}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", TILES)
def test_a_mask_of_one_colour_is_that_colour_and_no_grey_of_the_same_number(
    colour: str, suffix: str, tmp_path: Path
) -> None:
    """Tiles of remote sensing hold white (#ffffff) or blue (#0000ff) alone; VOC's grey and navy are 128 both."""
    classes = ("ground", "road", "house", "bottle", "bus")
    task = replace(THREE, classes=classes, mask_values=tuple(TILES.items()), ignore=255)
    task = replace(task, ignore=None) if colour == "#ffffff" else task  # white is what 255 ignores
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[1:3, 1:3] = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    path = save(tmp_path / "m.png", pixels)
    if suffix == ".tif":
        path = tmp_path / "m.tif"
        tifffile.imwrite(path, np.stack([pixels]), photometric="rgb")
    assert np.unique(read_mask(path, task)).tolist() == sorted({0, TILES[colour]})


def test_white_is_what_a_mask_of_colours_ignores(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 3), np.uint8)
    pixels[0, 1], pixels[0, 2] = (0, 0, 255), 255
    task = replace(BINARY, ignore=255)
    assert read_mask(save(tmp_path / "m.png", pixels), task).tolist() == [[0, 1, IGNORED]]


def test_colours_that_nothing_says_the_classes_of_are_listed(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 3), np.uint8)
    pixels[0, 1, 0], pixels[0, 2, 1] = 255, 255  # one-hot: a class in each channel
    for task in (BINARY, THREE):
        with pytest.raises(
            InputError, match=r'holds colours \("#000000", "#00ff00", "#ff0000"\); say .*mask_values = \{'
        ):
            read_mask(save(tmp_path / "m.png", pixels), task)


def test_palette_masks_are_indices_not_colours(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 255, 255, 0, 0, 0, 9, 9, 9])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png", THREE).tolist() == [[0, 1, 2]]


def test_empty_and_full_masks_are_fine(tmp_path: Path) -> None:
    assert not read_mask(save(tmp_path / "e.png", np.zeros((4, 4), np.uint8)), BINARY).any()
    assert read_mask(save(tmp_path / "f.png", np.full((4, 4), 255, np.uint8)), BINARY).all()


def test_more_levels_than_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.png: 3 grey levels in the mask of a two-level task"):
        read_mask(save(tmp_path / "m.png", np.array([[0, 128, 255]], np.uint8)), BINARY)
    with pytest.raises(InputError, match=r"n\.png: class index 4 in the mask, but the task names 3 classes"):
        read_mask(save(tmp_path / "n.png", np.array([[0, 1, 4]], np.uint8)), THREE)
    with pytest.raises(InputError, match="holds values that are not whole numbers, so it is no mask"):
        read_mask(save(tmp_path / "f.tif", np.full((2, 2), 0.5, np.float32)), THREE)


@pytest.mark.parametrize("classes", [("whole", "core"), ("whole", "core", "edema")])
def test_levels_for_every_class_and_one_for_none_are_regions_or_lack_a_background(
    classes: tuple[str, ...], tmp_path: Path
) -> None:
    task = replace(THREE, classes=classes)
    levels = np.arange(len(classes) + 1, dtype=np.uint8)[None]
    with pytest.raises(InputError) as refused:
        read_mask(save(tmp_path / "m.png", levels), task)
    assert "by softmax the first of them (whole) is the background" in str(refused.value)
    assert 'labels = "overlapping" and activation = "sigmoid"' in str(refused.value)
    assert read_mask(save(tmp_path / "n.png", levels[:, :2]), task).tolist() == [[0, 1]]


# --------------------------------------------------------------------------------------- what values stand for


def test_values_are_mapped_to_classes(tmp_path: Path) -> None:
    task = replace(THREE, mask_values=(("0", 0), ("85", 1), ("170", 2)), ignore=255)
    path = save(tmp_path / "m.png", np.array([[0, 85, 170, 255]], np.uint8))
    assert read_mask(path, task).tolist() == [[0, 1, 2, IGNORED]]
    path = save(tmp_path / "m.png", np.array([[0, 86]], np.uint8))
    with pytest.raises(InputError, match=r"m\.png: holds the value 86, which mask_values does not name; add 86 ="):
        read_mask(path, task)


def test_colours_are_mapped_to_classes_and_palettes_by_colour(tmp_path: Path) -> None:
    task = replace(THREE, mask_values=(("#000000", 0), ("#ff0000", 1), ("#808080", 2)))
    colours = np.array([[[0, 0, 0], [255, 0, 0], [128, 128, 128]]], np.uint8)
    assert read_mask(save(tmp_path / "rgb.png", colours), task).tolist() == [[0, 1, 2]]
    assert read_mask(save(tmp_path / "grey.png", colours[:, [0, 2]]), task).tolist() == [[0, 2]]
    for name, order in (("p.png", (0, 1, 2)), ("q.png", (2, 0, 1))):  # other indices, the same colours
        image = Image.new("P", (3, 1))
        image.putpalette(colours[0][list(order)].ravel().tolist())
        image.putdata([order.index(k) for k in range(3)])
        image.save(tmp_path / name)
        assert read_mask(tmp_path / name, task).tolist() == [[0, 1, 2]]


def test_an_ignore_label(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 1, 2, 255]], np.uint8))
    assert read_mask(path, replace(THREE, ignore=255)).tolist() == [[0, 1, 2, IGNORED]]
    with pytest.raises(InputError, match="add ignore = 255 to the task, if that marks what is not to be counted"):
        read_mask(path, THREE)
    path = save(tmp_path / "b.png", np.array([[0, 1, 255]], np.uint8))
    assert read_mask(path, replace(BINARY, ignore=255)).tolist() == [[0, 1, IGNORED]]
    with pytest.raises(InputError, match="two-level task; add ignore = 255 to the task"):
        read_mask(path, BINARY)


def test_overlapping_labels_in_every_form(tmp_path: Path) -> None:
    task = SegmentationTask(size=(8, 8), classes=("whole", "core"), overlapping=True)
    maps = np.zeros((2, 4, 5), np.uint8)
    maps[0, 1:, 1:], maps[1, 2, 2] = 1, 1
    image = save(tmp_path / "image.png", np.zeros((4, 5), np.uint8))
    np.save(tmp_path / "m.npy", maps)
    tifffile.imwrite(tmp_path / "m.tif", maps * 255, photometric="minisblack")
    for index in range(2):
        save(tmp_path / f"m{index}.png", maps[index] * 255)
    forms = [
        Case("x", (image,), (tmp_path / "m.npy",), Layout(axes="chw")),
        Case("x", (image,), (tmp_path / "m.tif",)),
        Case("x", (image,), (tmp_path / "m0.png", tmp_path / "m1.png")),
    ]
    for case in forms:
        np.testing.assert_array_equal(case.labels(0, task), maps, str(case.masks))
    with pytest.raises(InputError, match=r"m0\.png: holds 1 map, but labels overlap and the task names 2 classes"):
        Case("x", (image,), (tmp_path / "m0.png",)).labels(0, task)
    with pytest.raises(InputError, match=r"m0\.png: holds 2 maps, but the labels of the task exclude each other"):
        forms[2].labels(0, THREE)


def test_an_ignored_pixel_is_ignored_in_every_map(tmp_path: Path) -> None:
    task = SegmentationTask(size=(8, 8), classes=("whole", "core"), overlapping=True, ignore=9)
    image = save(tmp_path / "image.png", np.zeros((1, 3), np.uint8))
    np.save(tmp_path / "m.npy", np.array([[[1, 9, 0]], [[1, 1, 0]]], np.uint8))
    case = Case("x", (image,), (tmp_path / "m.npy",), Layout(axes="chw"))
    assert case.labels(0, task).tolist() == [[[1, IGNORED, 0]], [[1, IGNORED, 0]]]


# --------------------------------------------------------------------------------------------- a pair is a pair


@pytest.mark.parametrize(("of_image", "of_mask"), [(6, 1), (1, 3), (6, 8)])
def test_a_pair_that_is_turned_otherwise_is_refused(tmp_path: Path, of_image: int, of_mask: int) -> None:
    square = (GREY[:7] > 99).astype(np.uint8)
    paths = []
    for name, orientation in (("i.png", of_image), ("m.png", of_mask)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(square).save(tmp_path / name, exif=exif)
        paths.append(tmp_path / name)
    with pytest.raises(InputError, match=rf"m\.png: has the EXIF orientation {of_mask}( or none)?, but its image"):
        Case("x", (paths[0],), (paths[1],)).pair(0, "x", BINARY)


def test_a_pair_turned_alike_is_a_pair(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "x.png", exif=exif)
    Image.fromarray((GREY > 99).astype(np.uint8)).save(tmp_path / "m.png", exif=exif)
    plane, labels = Case("x", (tmp_path / "x.png",), (tmp_path / "m.png",)).pair(0, "x", BINARY)
    np.testing.assert_array_equal(plane.values, np.rot90(COLOUR, -1))
    np.testing.assert_array_equal(labels, np.rot90(GREY > 99, -1))


# ------------------------------------------------------------------------------------------ segments of a DICOM-SEG


def segments(*named: tuple[int, str]) -> tuple[list[Pixels], tuple[tuple[int, str], ...]]:
    """One marked pixel for each segment, side by side."""
    return [Pixels(np.eye(len(named), dtype=np.uint8)[None])], named


def test_segments_are_matched_by_label_then_by_number() -> None:
    by_label = segments((4, "Tumour"), (9, "LIVER"))
    assert class_labels(*by_label, THREE).tolist() == [[2, 1]]
    by_number = segments((2, "b"), (1, "a"))
    assert class_labels(*by_number, THREE).tolist() == [[2, 1]]
    chosen = replace(THREE, mask_values=(("4", 1), ("9", 0)))
    assert class_labels(*by_label, chosen).tolist() == [[1, 0]]
    both = SegmentationTask(size=(8, 8), classes=("liver", "tumour"), overlapping=True)
    assert class_labels(*by_label, both).tolist() == [[[0, 1]], [[1, 0]]]


def test_segments_that_no_class_stands_for_are_refused() -> None:
    with pytest.raises(InputError, match="has a segment 'spleen' that is none of the task's classes"):
        class_labels(*segments((1, "liver"), (2, "spleen")), THREE)
    with pytest.raises(InputError, match=r"has segment 9 \(x\), which mask_values does not name; add 9 = CLASS"):
        class_labels(*segments((9, "x")), replace(THREE, mask_values=(("1", 1),)))
    overlap = [Pixels(np.ones((1, 1, 2), np.uint8))]
    with pytest.raises(InputError, match='has segments that overlap; say labels = "overlapping" in the task'):
        class_labels(overlap, ((1, "liver"), (2, "tumour")), THREE)
