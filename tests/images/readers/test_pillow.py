"""Pictures: pixels as Pillow decodes them, no value cut, one sentence for what is no image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.images.readers import open_image
from tests.fixtures.pictures import COLOUR, GREY, save


def read_image(path: Path) -> np.ndarray:
    return open_image(path).read(0).values


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
def test_16_bit_grey_keeps_every_value(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257, 385, 386, 32767, 65406, 65407, 65535]], np.uint16)
    result = read_image(save(tmp_path / f"x{suffix}", values))
    assert result.dtype == np.uint16
    assert result.tolist() == values.tolist()


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], np.uint16)
    path = tmp_path / "x.tif"
    Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes()).save(path)
    assert read_image(path).tolist() == values.tolist()


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


def test_float_and_32_bit_pixels_keep_every_value(tmp_path: Path) -> None:
    for name, values in (("f.tif", GREY / np.float32(3)), ("i.tif", GREY.astype(np.int32) * 1000)):
        result = read_image(save(tmp_path / name, values))
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, values)


@pytest.mark.parametrize(("colour", "samples"), [(2, 3), (6, 4), (4, 2)], ids=["rgb", "rgba", "grey and alpha"])
def test_16_bits_a_colour_are_refused_rather_than_cut(tmp_path: Path, colour: int, samples: int) -> None:
    rows = b"".join(b"\0" + bytes(7 * samples * 2) for _ in range(9))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 7, 9, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(InputError, match=r"x\.png: holds 16 bits a colour \(.*\), which would be cut to 8"):
        read_image(tmp_path / "x.png")


def test_a_postscript_file_called_png_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(InputError, match=r"x\.png: does not decode as an image \(is none of PNG, JPEG, TIFF, BMP\)"):
        read_image(tmp_path / "x.png")


def test_an_animation_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY + index) for index in range(3)]
    pages[0].save(tmp_path / "x.png", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"x\.png: holds 3 pictures; save each in its own file"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am text\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"BM"]
)
def test_what_is_no_image_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"x\.png: (does not decode as an image|is not an image that decodes) .*; replace or remove it"
    ):
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
            read_image(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 50


def test_missing_image_and_folder_instead_of_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such image"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="holds no DICOM images"):
        read_image(tmp_path)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: shown turned by a quarter clockwise
    Image.fromarray(COLOUR).save(tmp_path / "x.png", exif=exif)
    pixels = open_image(tmp_path / "x.png").read(0)
    np.testing.assert_array_equal(pixels.values, np.rot90(COLOUR, -1))
    assert pixels.turned == 6
