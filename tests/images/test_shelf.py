"""Pictures are decoded once, as far as the memory for them goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from edge.images.readers.stack import Layout
from edge.images.shelf import Shelf

SIDE = 16


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02d}.png" for number in range(20)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((SIDE, SIDE), number, np.uint8)).save(path)
    return paths


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names, load = list[str](), ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> object:
        if self.tile:  # nothing is left to decode after the first time
            names.append(str(self.filename))
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    return names


def test_every_picture_is_decoded_once_though_few_stay_open(pictures: list[Path], decoded: list[str]) -> None:
    shelf = Shelf(most=2)
    for _ in range(3):
        for number, path in enumerate(pictures):
            values = shelf.image(path, Layout()).read(0).values
            assert (values == number).all() and not values.flags.writeable
    assert len(decoded) == len(pictures)


def test_those_that_do_not_fit_are_decoded_again(pictures: list[Path], decoded: list[str]) -> None:
    shelf = Shelf(most=2, decoded_bytes=16 * SIDE * SIDE)  # sixteen of the twenty
    for _ in range(3):
        for number, path in enumerate(pictures):
            assert (shelf.image(path, Layout()).read(0).values == number).all()
    assert len(decoded) == 16 + 3 * 4


def test_a_picture_that_is_saved_anew_is_decoded_anew(pictures: list[Path]) -> None:
    shelf = Shelf()
    assert shelf.image(pictures[0], Layout()).read(0).values.max() == 0
    Image.fromarray(np.full((SIDE, SIDE + 1), 9, np.uint8)).save(pictures[0])
    assert shelf.image(pictures[0], Layout()).read(0).values.shape == (SIDE, SIDE + 1)
