from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.images import load_image_set, read_image, read_mask, require_disjoint
from edge.task import SegmentationTask

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
BINARY = SegmentationTask(size=(8, 8))
THREE = SegmentationTask(size=(8, 8), classes=("ground", "liver", "tumour"), activation="softmax")


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


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


# --------------------------------------------------------------------------------------------------------- sets


def make_set(root: Path, rows: list[str], header: str = "image,mask,split") -> Path:
    for index in range(4):
        save(root / f"i{index}.png", COLOUR // (index + 1))
        save(root / f"m{index}.png", np.zeros((9, 7), np.uint8))
    (root / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")
    return root


def test_manifest_keeps_order_splits_and_columns(tmp_path: Path) -> None:
    rows = ["test,i1.png,m1.png,pat 1", "train,i0.png,m0.png,", "test,i2.png,,pat 2"]
    images = load_image_set(make_set(tmp_path, rows, "split,image,mask,patient"))
    assert [s.name for s in images] == ["i1", "i0", "i2"]
    assert [s.name for s in images.split("test")] == ["i1", "i2"]
    assert images.samples[0].columns == {"patient": "pat 1"}
    assert images.samples[2].mask is None
    with pytest.raises(InputError, match="has no mask"):
        images.samples[2].labels(BINARY)


def test_manifest_of_a_spreadsheet(tmp_path: Path) -> None:
    make_set(tmp_path, [])
    (tmp_path / "manifest.csv").write_bytes("﻿image,mask,split\r\ni0.png,m0.png,val\r\n".encode())
    assert load_image_set(tmp_path).samples[0].split == "val"


@pytest.mark.parametrize(
    ("rows", "header", "fault"),
    [
        (["i0.png,test"], "image,split", "no column 'mask'"),
        ([], "image,mask,split", "lists no images"),
        (["i0.png,m0.png,tset"], "image,mask,split", "line 2: split 'tset' is not one of train, val, test"),
        (["i0.png,m0.png,test", "i9.png,m0.png,test"], "image,mask,split", "line 3: 'i9.png' is not there"),
        (["i0.png,m9.png,test"], "image,mask,split", "line 2: 'm9.png' is not there"),
        (["test"], "split,image,mask", "line 2: '' is not there"),
        (["i0.png"], "image,mask,split", "line 2: split '' is not one of"),
        (["i0.png,m0.png,test", "i0.png,m0.png,val"], "image,mask,split", "two images are called 'i0'"),
    ],
)
def test_a_wrong_manifest_names_the_line(tmp_path: Path, rows: list[str], header: str, fault: str) -> None:
    with pytest.raises(InputError, match=f"manifest.csv: {fault}"):
        load_image_set(make_set(tmp_path, rows, header))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x00image", b"", b'image,mask,split\n"' + b"x" * 200_000 + b'",,\n'])
def test_a_manifest_that_is_no_text_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.csv"):
        load_image_set(tmp_path)


def plain(root: Path, count: int) -> Path:
    (root / "images").mkdir()
    (root / "masks").mkdir()
    for index in range(count):
        save(root / f"images/{index:03}.png", COLOUR)
        save(root / f"masks/{index:03}.bmp", GREY * 0)
    return root


def test_plain_folders_are_split_70_15_15_and_always_the_same(tmp_path: Path) -> None:
    images = load_image_set(plain(tmp_path, 40))
    assert [len(images.split(s)) for s in ("train", "val", "test")] == [28, 6, 6]
    assert [s.split for s in images] == [s.split for s in load_image_set(tmp_path)]
    assert [s.name for s in images.split("test")] != [f"{i:03}" for i in range(34, 40)]
    assert all(s.mask is not None and s.mask.stem == s.name for s in images)


def test_plain_folders_pass_over_what_is_no_picture(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    (tmp_path / "images/Thumbs.db").write_bytes(b"x")
    (tmp_path / "images/._000.png").write_bytes(b"x")
    assert len(load_image_set(tmp_path)) == 3


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_image_set(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds neither manifest\.csv nor images/"):
        load_image_set(tmp_path)
    plain(tmp_path, 2)
    (tmp_path / "masks/001.bmp").unlink()
    with pytest.raises(InputError, match=r"001\.png: has no mask of the same stem"):
        load_image_set(tmp_path)
    with pytest.raises(InputError, match="the val split is empty"):
        (tmp_path / "images/001.png").unlink()
        load_image_set(tmp_path).split("val")


def test_folders_without_masks_or_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="has images/ but no masks/"):
        load_image_set(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match=r"holds no \.png"):
        load_image_set(tmp_path)


def test_spread_covers_the_whole_set(tmp_path: Path) -> None:
    images = load_image_set(plain(tmp_path, 20))
    assert [s.name for s in images.spread(5)] == ["000", "005", "010", "014", "019"]
    assert images.spread(99) is images


def test_one_picture_in_two_splits_is_found_by_its_pixels(tmp_path: Path) -> None:
    make_set(tmp_path, ["i0.png,m0.png,train", "i1.png,m1.png,test"])
    images = load_image_set(tmp_path)
    require_disjoint([("calibration", images.split("train")), ("evaluation", images.split("test"))])
    save(tmp_path / "copy.tif", COLOUR)  # another file, another format, the same pixels
    with (tmp_path / "manifest.csv").open("a") as stream:
        stream.write("copy.tif,m2.png,test\n")
    images = load_image_set(tmp_path)
    with pytest.raises(InputError, match=r"copy\.tif: the same picture as .*i0\.png, one for evaluation, one for cal"):
        require_disjoint([("calibration", images.split("train")), ("evaluation", images.split("test"))])


def test_hash_follows_the_bytes(tmp_path: Path) -> None:
    images = load_image_set(make_set(tmp_path, ["i0.png,m0.png,test", "i1.png,,test"]))
    before = images.sha256()
    assert before == load_image_set(tmp_path).sha256()
    save(tmp_path / "m0.png", np.full((9, 7), 255, np.uint8))
    assert images.sha256() != before


def test_pair_refuses_a_mask_of_another_size(tmp_path: Path) -> None:
    images = load_image_set(make_set(tmp_path, ["i0.png,m0.png,test"]))
    pixels, labels = images.samples[0].pair(BINARY)
    assert pixels.shape[:2] == labels.shape == (9, 7)
    save(tmp_path / "m0.png", np.zeros((7, 9), np.uint8))
    with pytest.raises(InputError, match=r"m0\.png: is 9x7 pixels, but its image is 7x9; make them the same size"):
        images.samples[0].pair(BINARY)
