"""TIFF: stacks, channels and types that Pillow would cut, each value as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from edge.errors import InputError
from edge.images.readers import open_image, open_mask

RNG = np.random.default_rng(11)
STACK = RNG.integers(0, 4096, (6, 9, 7)).astype(np.uint16)


def planes(path: Path) -> np.ndarray:
    stack = open_image(path)
    shown = np.stack([stack.read(index).values for index in range(stack.depth)])
    stack.close()
    return shown


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"imagej": True, "metadata": {"axes": "ZYX"}}, {"bigtiff": True}, {"byteorder": ">"}],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_the_pages_of_a_stack_are_its_planes(tmp_path: Path, options: dict, dtype: str) -> None:
    values = (STACK // 16 if dtype == "uint8" else STACK).astype(dtype)
    if options.get("imagej") and dtype == "int16":
        pytest.skip("ImageJ has no signed type")
    tifffile.imwrite(tmp_path / "x.tif", values, **options)
    stack = open_image(tmp_path / "x.tif")
    assert (stack.depth, stack.volume) == (6, True)
    shown = planes(tmp_path / "x.tif")
    assert shown.dtype == values.dtype
    np.testing.assert_array_equal(shown, values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_many_channels_of_16_bits(tmp_path: Path, planar: str) -> None:
    values = RNG.integers(0, 65536, (9, 7, 5)).astype(np.uint16)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "x.tif", stored, planarconfig=planar, photometric="minisblack", extrasamples=[0] * 4)
    stack = open_image(tmp_path / "x.tif")
    assert (stack.depth, stack.volume) == (1, False)
    np.testing.assert_array_equal(stack.read(0).values, values)


def test_channels_and_slices_of_imagej(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (4, 3, 9, 7)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(planes(tmp_path / "x.tif"), values.transpose(0, 2, 3, 1))


def test_colours_of_16_bits_are_not_cut_to_8(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (9, 7, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb")
    np.testing.assert_array_equal(open_image(tmp_path / "x.tif").read(0).values, values)


def test_16_bits_in_a_compression_that_pillow_knows(tmp_path: Path) -> None:
    pages = [Image.fromarray(page) for page in STACK]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    np.testing.assert_array_equal(planes(tmp_path / "x.tif"), STACK)


def test_white_as_0_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK[0], photometric="miniswhite")
    np.testing.assert_array_equal(open_image(tmp_path / "x.tif").read(0).values, 65535 - STACK[0])


def test_a_mask_of_pages(tmp_path: Path) -> None:
    mask = RNG.integers(0, 4, (6, 9, 7)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", mask)
    stack = open_mask(tmp_path / "m.tif")
    assert stack.depth == 6
    assert stack.read(2).values.tolist() == mask[2].tolist()


def test_pages_of_several_shapes_or_too_many_axes(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(STACK[0])
        writer.write(STACK[0, :4])
    with pytest.raises(InputError, match=r"x\.tif: holds pictures of 2 shapes; save each in its own file"):
        open_image(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "t.tif", np.zeros((2, 3, 9, 7), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"t\.tif: has the axes TZYX of 2x3x9x7"):
        open_image(tmp_path / "t.tif")


@pytest.mark.parametrize("pages", [2, 120], ids=["2", "more-than-tifffile-looks-back"])
@pytest.mark.parametrize("back_to", [0, 1])
def test_pages_that_go_in_a_circle_are_refused(tmp_path: Path, pages: int, back_to: int) -> None:
    path = tmp_path / "circle.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(pages):
            writer.write(np.zeros((8, 8), np.uint16), contiguous=False)
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
        tags = len(file.pages[-1].tags)
    with path.open("r+b") as stream:
        stream.seek(offsets[-1] + 2 + 12 * tags)
        assert stream.read(4) == bytes(4)
        stream.seek(-4, 1)
        stream.write(offsets[back_to].to_bytes(4, "little"))
    with pytest.raises(InputError, match=r"circle\.tif.*in a circle"):
        open_image(path)
