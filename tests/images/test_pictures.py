"""Picture files: pixels as Pillow decodes them, masks as class indices, one sentence for what is neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.images.pictures import read_image, read_mask
from edge.task.task import SegmentationTask
from tests.fixtures.pictures import COLOUR, GREY, save

BINARY = SegmentationTask(size=(8, 8))
THREE = SegmentationTask(size=(8, 8), classes=("ground", "liver", "tumour"), activation="softmax")


# ---------------------------------------------------------------------------------------------- reading images


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["rgb", "grey"])
def test_lossless_formats_come_back_as_they_were(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    result = read_image(save(tmp_path / f"x{suffix}", pixels))
    np.testing.assert_array_equal(result, pixels)
    assert result.dtype == np.uint8


def test_jpeg_is_pillows_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "x.jpg", COLOUR)
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_divided_by_257_and_rounded(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257, 385, 386, 32767, 65406, 65407, 65535]], np.uint16)
    result = read_image(save(tmp_path / f"x{suffix}", values))
    assert result.tolist() == [[round(v / 257) for v in values[0].tolist()]]


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], np.uint16)
    path = tmp_path / "x.tif"
    Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes()).save(path)
    assert read_image(path).tolist() == [[0, 1, 255]]


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    alpha = np.dstack([COLOUR, np.zeros((9, 7), np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", alpha)), COLOUR)
    grey_alpha = Image.merge("LA", (Image.fromarray(GREY), Image.new("L", (7, 9), 0)))
    grey_alpha.save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), GREY)


def test_palettes_are_expanded_and_bits_are_0_and_255(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([1, 0])
    palette.save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").tolist() == [[[200, 100, 50], [10, 20, 30]]]
    save(tmp_path / "bits.png", np.array([[0, 255]], np.uint8), "1")
    assert read_image(tmp_path / "bits.png").tolist() == [[0, 255]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = save(tmp_path / "x.tif", COLOUR, "CMYK")
    assert read_image(path).shape == (9, 7, 3)


def test_float_and_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f\.tif: floating-point pixels have no fixed range"):
        read_image(save(tmp_path / "f.tif", GREY.astype(np.float32)))
    with pytest.raises(InputError, match="do not fit 16 bits"):
        read_image(save(tmp_path / "i.tif", GREY.astype(np.int32) * 1000))


def test_a_stack_of_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY)] * 3
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"stack\.tif: holds 3 pictures; save each in its own file"):
        read_image(tmp_path / "stack.tif")


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am text\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"BM"]
)
def test_what_is_no_image_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.png: does not decode as an image .*; replace or remove it"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_damaged_files_never_give_a_traceback(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"x{suffix}", COLOUR)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for step in range(150):
        data = bytearray(whole)
        if step % 2:
            data = data[: int(rng.integers(1, len(data)))]
        else:
            for index in rng.integers(0, len(data), 8):
                data[index] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(data))
        try:
            assert read_image(path).dtype == np.uint8
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 50


def test_missing_image_and_folder_instead_of_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such image"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="does not decode"):
        read_image(tmp_path)


# ----------------------------------------------------------------------------------------------- reading masks


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
    with pytest.raises(InputError, match=r"n\.png: class index 3 in the mask, but the task names 3 classes"):
        read_mask(save(tmp_path / "n.png", np.array([[0, 1, 3]], np.uint8)), THREE)
    coloured = np.zeros((2, 2, 3), np.uint8)
    coloured[0, 0] = (0, 2, 0)
    with pytest.raises(InputError, match="class index 512"):
        read_mask(save(tmp_path / "c.png", coloured), THREE)
    with pytest.raises(InputError, match="a mask cannot be stored as F"):
        read_mask(save(tmp_path / "f.tif", np.full((2, 2), 0.5, np.float32)), THREE)


def test_a_photograph_and_its_mask_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: shown turned by a quarter clockwise
    Image.fromarray(COLOUR).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), np.rot90(COLOUR, -1))
    Image.fromarray((GREY > 99).astype(np.uint8)).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", BINARY), np.rot90(GREY > 99, -1))
