"""Image sets: manifests, plain folders, splits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.images.image_set import load_image_set
from edge.images.leaks import require_disjoint
from edge.safety.limits import Limits, limited
from edge.task.task import SegmentationTask
from tests.fixtures.pictures import COLOUR, GREY, save

BINARY = SegmentationTask(size=(8, 8))


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
        (["i0.png;m0.png;test"], "image;mask;split", "its columns are parted by semicolons; save it as comma"),
        (["i0.png\tm0.png\ttest"], "image\tmask\tsplit", "its columns are parted by tabs; save it as comma"),
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


def test_a_manifest_that_is_no_plain_file_is_not_passed_over(tmp_path: Path) -> None:
    plain(tmp_path, 4)  # which would be split by a seed, were there no manifest
    (tmp_path / "manifest.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"manifest\.csv: no such file"):
        load_image_set(tmp_path)
    (tmp_path / "manifest.csv").unlink()
    os.mkfifo(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match=r"manifest\.csv: is a pipe; give a plain file"):
        load_image_set(tmp_path)


def test_a_manifest_is_held_to_the_limit_of_documents(tmp_path: Path) -> None:
    make_set(tmp_path, ["a.png,,test"], "image,mask,split")
    with limited(Limits(document_bytes=10)), pytest.raises(InputError, match="document_bytes"):
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
    with pytest.raises(InputError, match=r"holds no .*\.png"):
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


def test_blank_slices_of_one_split_are_no_leak(tmp_path: Path) -> None:
    make_set(tmp_path, ["i0.png,m0.png,train", "i1.png,m1.png,test"])
    blank = save(tmp_path / "blank.png", COLOUR)
    with (tmp_path / "manifest.csv").open("a") as stream:
        stream.write(f"{blank.name},m2.png,train\n")
    images = load_image_set(tmp_path)
    require_disjoint([("calibration", images.split("train")), ("evaluation", images.split("test"))])
