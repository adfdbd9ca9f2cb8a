"""Limits: one table, changed by name and back afterwards; SECURITY.md's rows are enforced and can be raised."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from edge.safety.limits import Limits, limited, limits, parse_limits
from tests.fixtures.discs import TASK, disc_network

ROWS = dict(
    re.findall(r"^\| `(\w+)` \| (\d+) \|", (Path(__file__).parents[2] / "SECURITY.md").read_text(), re.MULTILINE)
)


def test_limits_hold_as_long_as_the_block():
    with limited(parse_limits(["pixels=1e3", "depth=4"])) as changed:
        assert limits() is changed and (changed.pixels, changed.depth) == (1000, 4)
        with limited(parse_limits(["depth=5"])):
            assert (limits().pixels, limits().depth) == (1000, 5)
    assert limits() == Limits()


@pytest.mark.parametrize("option", ["pixels", "pixels=", "pixels=-1", "pixels=nan", "pixels=inf", "colour=3"])
def test_a_limit_that_says_nothing_is_refused(option):
    with pytest.raises(InputError, match="--limit"):
        parse_limits([option])


def _picture(folder: Path) -> object:
    from edge.images.pictures import read_image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    return read_image(folder / "a.png")


def _arrays(folder: Path) -> object:
    from edge.storage.arrays import read_arrays

    np.savez_compressed(folder / "a.npz", a=np.zeros(1000))
    return read_arrays(folder / "a.npz", ("a",), "again")


def _graph(folder: Path) -> object:
    from edge.loading.onnx_file import load_onnx

    return load_onnx(disc_network().save(folder / "net.onnx"), TASK)


def _document(text: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from edge.files import read_json

        (folder / "a.json").write_text(text)
        return read_json(folder / "a.json")

    return read


ASKS: dict[str, tuple[Callable[[Path], object], int, int]] = {
    "pixels": (_picture, 63, 64),
    "inflated_bytes": (_arrays, 7_000, 9_000),
    "nodes": (_graph, 1, 100),
    "metadata_bytes": (_graph, 10, 10_000),
    "document_bytes": (_document('{"a": 1, "b": 2}'), 15, 16),
    "depth": (_document("[[[]]]"), 1, 3),
    "digits": (_document("123456"), 5, 6),
}
"""Row of the table: something that asks for it, a limit that is too low for it, and one that is not."""


def test_the_table_lists_every_limit_and_every_row_is_tried():
    assert {name: int(value) for name, value in ROWS.items()} == vars(Limits())
    elsewhere = {"native_seconds", "message_bytes"}  # below, and in tests/boards/test_hostile.py
    assert set(ROWS) == {*ASKS, *elsewhere}


@pytest.mark.parametrize("name", ASKS)
def test_a_row_is_enforced_and_can_be_raised(name: str, tmp_path: Path):
    ask, low, enough = ASKS[name]
    with (
        limited(parse_limits([f"{name}={low}"])),
        pytest.raises(InputError, match=rf"more than the {low} that are read"),
    ):
        ask(tmp_path)
    with limited(parse_limits([f"{name}={low}"])), pytest.raises(InputError, match=rf"run edge --limit {name}=N"):
        ask(tmp_path)
    with limited(parse_limits([f"{name}={enough}"])):
        ask(tmp_path)


@pytest.mark.parametrize("half", ["here", "on a board"])
def test_pillows_own_limit_neither_refuses_first_nor_stays_lifted(
    half: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from edge.device.pictures import _image as read_on_board
    from edge.images.pictures import read_image

    path, read = tmp_path / "a.bmp", {"here": read_image, "on a board": read_on_board}[half]
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses more than twice that
    read(path)
    with limited(parse_limits(["pixels=63"])), pytest.raises(InputError, match=r"has 64 pixels, more than the 63 that"):
        read(path)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_the_seconds_of_a_native_call_are_told_to_whoever_watches():
    from edge.safety import watchdog

    page, before = watchdog.Page(), list(watchdog._pages)
    watchdog.watched_by(page)
    try:
        start = time.monotonic()
        with limited(parse_limits(["native_seconds=5"])), watchdog.native_call("a.onnx", "its shapes"):
            assert start + 5 <= page.read().deadline <= time.monotonic() + 5
        assert page.read().deadline == 0
    finally:
        watchdog._pages[:] = before


def test_the_boards_half_has_the_option_too(capsys: pytest.CaptureFixture[str]):
    from edge.device.__main__ import main

    assert main(["info", "--limit", "patience=3"]) == 2
    assert "--limit patience=3: no limit 'patience'; there are pixels" in capsys.readouterr().err
