"""Answers of a hostile board crash nothing and write nothing outside the folder that was given."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge.boards.line as line_module
from edge.backends.engine import Candidate
from edge.boards.address import parse_address
from edge.boards.board import Board, BoardEngine
from edge.boards.line import Line
from edge.boards.ssh import LineLost, Patience
from edge.device.frames import LargeFrame, pack, read_frame
from edge.errors import EdgeError, MachineError
from edge.safety.limits import Limits, limited
from tests.fixtures.discs import disc_network

MESSAGES = 200
BUILT = {"artefact": "model.xml", "files": ["model.xml"], "seconds": 1.0, "convs": {"int8": 1}, "warnings": []}
VALUES: list[Any] = [
    None, 1, -1, 1e308, "", "../../evil", "/etc/passwd", "a" * 70, [], [1], {}, {"a": 1}, True, ["model.xml"],
    {"../evil": [4, "0" * 64]}, {"model.xml": [4, "0" * 64]}, {"model.xml": [-4, "x"]}, BUILT, "0" * 64,
]  # fmt: skip
KEYS = ("answer", "fault", "says", "step", "lacking", "key", "built", "files", "rows", "names", "tables", "identity")


class HostileChannel:
    """A double of a channel whose far end starts as a board does and then answers at random."""

    seed = 0

    def __init__(self, address: object, command: str, patience: Patience, look: object) -> None:
        self._random = random.Random(HostileChannel.seed)
        self._marker, self._data, self._started = b"", b"", False

    def write(self, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        if not self._started:
            self._started = True
            self._marker = data.rpartition(b"start('")[2].partition(b"'")[0] + b"\n"
            word = json.dumps({"wanted": False}).encode()
            self._data = struct.pack(">I", len(word)) + word + b"".join(pack({"id": 0, "answer": {}}))
            return
        number = json.loads(data[4 : 4 + struct.unpack(">I", data[:4])[0]])["table"]["id"]
        self._data = self._answer(number)

    def read_line(self, seconds: float) -> bytes:
        return self._marker

    def read(self, count: int, seconds: float) -> bytes:
        if len(self._data) < count:
            raise LineLost("the line ended")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def ended(self) -> tuple[int | None, str]:
        return None, ""

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, number: int) -> bytes:
        draw = self._random
        if draw.random() < 0.2:
            return draw.randbytes(draw.randrange(200))
        inner = {draw.choice(KEYS): draw.choice(VALUES) for _ in range(5)}
        table = {"id": number, draw.choice(KEYS[:5]): draw.choice([inner, draw.choice(VALUES)])}
        arrays = [np.zeros(draw.randrange(5), draw.choice(["<f4", "<f8", "|u1"])) for _ in range(draw.randrange(3))]
        return b"".join(pack(table, arrays))


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(line_module, "Channel", HostileChannel)
    monkeypatch.setattr(line_module, "_FIRST_PAUSE_S", 0.0)
    return Board(Line(parse_address("evil@board"), Patience(retries=1)))


def test_garbage_crashes_nothing_and_writes_nothing_elsewhere(hostile: Board, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    image = np.zeros((1, 3, 32, 32), np.float32)
    files = {"../evil": (4, "0" * 64), "model.xml": (0, "0" * 64)}
    engine = BoardEngine("0" * 64, None, files, lambda: None)  # type: ignore[arg-type]
    questions = [
        hostile.look,
        lambda: hostile.open("openvino"),
        lambda: hostile.build(Candidate("fp32", "fp32", "fp32", disc_network())),
        lambda: hostile.run(engine, [image]),
        lambda: hostile.time({"a": engine}, image, 0.1, 1, lambda: None),
        lambda: hostile.layers([engine], 1),
        lambda: hostile.fetch(engine, folder),
    ]
    refused = 0
    for HostileChannel.seed in range(MESSAGES):
        hostile._line._drop()
        try:
            questions[HostileChannel.seed % len(questions)]()
        except EdgeError as error:
            assert error.exit_code in (2, 3) and "\n" not in str(error)
            refused += 1
    assert refused > MESSAGES // 2
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", ".hidden", "", "a" * 65])
def test_a_file_s_name_stays_a_name(hostile: Board, name: str) -> None:
    built = hostile._decoded(type(None), None)
    assert built is None
    with pytest.raises(EdgeError, match="does not answer as SegEdge"):
        from edge.backends.compiler import Built, ConvCounts

        hostile._files({name: [1, "0" * 64]}, Built(name, (name,), 1.0, ConvCounts()))


def test_frames_are_what_was_packed() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.arange(3, dtype=np.uint8)]
    data = b"".join(pack({"id": 7, "text": "ä"}, arrays))
    place = 0

    def read(count: int) -> bytes:
        nonlocal place
        place += count
        return data[place - count : place]

    frame = read_frame(read, 1000)
    assert frame.table == {"id": 7, "text": "ä"} and place == len(data)
    for got, sent in zip(frame.arrays, arrays, strict=True):
        assert got.dtype == sent.dtype and np.array_equal(got, sent)


def test_a_frame_larger_than_allowed_is_refused_before_it_is_read() -> None:
    head = json.dumps({"table": {}, "arrays": [["<f8", [1 << 30, 1 << 10]]]}).encode()
    data = struct.pack(">I", len(head)) + head
    parts = [data[:4], data[4:]]
    with pytest.raises(LargeFrame, match=f"have {1 << 43} bytes, more than the {1 << 30} that are read"):
        read_frame(lambda count: parts.pop(0), 1 << 30)


def test_a_board_that_offers_too_much_is_refused_before_it_is_read(hostile: Board) -> None:
    from edge.backends.compiler import Built, ConvCounts

    built = Built("model.plan", ("model.plan",), 1.0, ConvCounts())
    with limited(Limits(message_bytes=1000)):
        with pytest.raises(MachineError, match=r"of 1001 bytes, more than the 1000 .* --limit message_bytes=N"):
            hostile._files({"model.plan": [1001, "0" * 64]}, built)
        assert hostile._files({"model.plan": [1000, "0" * 64]}, built)["model.plan"][0] == 1000
