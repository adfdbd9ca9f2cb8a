"""Surfaces of boards: every kind of answer that one gives over its line, and the file that names them."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.compiler import Built
from edge.backends.engine import Candidate
from edge.backends.runner import ConvCounts
from edge.boards.address import parse_address
from edge.boards.board import Board, BoardEngine
from edge.boards.line import Line
from edge.boards.registry import known_boards
from edge.boards.ssh import LineLost, Patience
from edge.device.frames import pack
from edge.storage.codec import encode
from tests.fixtures.discs import disc_network
from tests.fuzz.mutate import mutated_bytes, mutated_table
from tests.fuzz.surface import Surface

_LENGTH = struct.Struct(">I")
_KEY = "ab" * 32
_IMAGE = np.zeros((1, 3, 32, 32), np.float32)


class _Recorded:
    """A channel over which came what is in a file, and nothing more."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, count: int, _: float) -> bytes:
        if count > len(self._data):
            raise LineLost("it ended the session")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def write(self, pieces: object) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing is open."""


class _RecordedLine(Line):
    """A line to a board whose answers are in a file; every question is number 1."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        super().__init__(parse_address("somebody@board"), Patience(connect=1, alive=1, silence=1, retries=0))

    def _connect(self, tries: int) -> None:
        self._channel = _Recorded(self._data)  # type: ignore[assignment]
        self._number = 0


def surfaces(place: Path) -> list[Surface]:
    """Doors of boards."""
    boards = b'[nano1]\non = "jetson@10.0.0.5"\npython = "python3.10"\n'
    return [
        Surface("answers of a board", 6, _answers(), mutated_frame, lambda path: _ask(path, place / "out")),
        Surface("names of boards", 1, {"boards.toml": boards}, mutated_bytes, known_boards),
    ]


def mutated_frame(data: bytes, rng: random.Random) -> bytes:
    """A frame whose head's values, bytes or lengths are changed."""
    if rng.random() < 0.4:
        return mutated_bytes(data, rng)
    (length,) = _LENGTH.unpack(data[:4])
    head, body = json.loads(data[4 : 4 + length]), data[4 + length :]
    changed = json.dumps(mutated_table(head, rng)).encode()
    return _LENGTH.pack(len(changed)) + changed + body


def _answers() -> dict[str, bytes]:
    built = encode(Built("model.xml", ("model.xml", "model.bin"), 0.1, ConvCounts(fp32=2)))
    files = {name: [10, _KEY] for name in ("model.xml", "model.bin")}
    identity = {"title": "OpenVINO", "version": "2026.1.0", "gpu": "a CPU", "sm": "avx2"}
    row = {"warmup": 3, "conditions": {"threads": 1}, "warnings": [], "lengths": [2, 2]}
    layer = {"op": "Convolution", "name": "a", "precision": "fp32", "ms": 0.1}
    facts = {
        "model": "x", "title": "y", "architecture": "x86_64", "module": None, "jetpack": None, "python": "3.8.10",
        "numpy": "1.17.4", "disk_free": 1, "memory_free": 1, "power_mode": None, "clocks_fixed": True, "hottest": None,
        "isa": [],
    }  # fmt: skip
    tables: Mapping[str, tuple[dict[str, Any], list[np.ndarray]]] = {
        "look": (facts, []),
        "open": ({"identity": identity, "environment": {"cpu": "x"}}, []),
        "build": ({"key": _KEY, "built": built, "files": files}, []),
        "run": ({}, [np.zeros((1, 1, 32, 32), np.float32)]),
        "time": ({"names": ["a"], "rows": {"a": row}}, [np.array([1.0, 1.1, 1.2, 1.3])]),
        "layers": ({"tables": [[[layer]]]}, []),
        "verify": ({"files": {}}, []),
    }
    return {
        f"{name}.frame": b"".join(pack({"id": 1, "answer": table}, arrays)) for name, (table, arrays) in tables.items()
    }


def _ask(path: Path, out: Path) -> object:
    """The question that a recorded answer is of, asked of it."""
    board = Board(_RecordedLine(path.read_bytes()))
    engine = BoardEngine(_KEY, Built("model.xml", ("model.xml",), 0.1, ConvCounts()), {}, lambda: None)
    questions: Mapping[str, Callable[[], object]] = {
        "look": board.look,
        "open": lambda: board.open("openvino"),
        "build": lambda: board.build(Candidate("fp32", "fp32", "fp32", disc_network())),
        "run": lambda: board.run(engine, [_IMAGE]),
        "time": lambda: board.time({"a": engine}, _IMAGE, 0.1, 2, lambda: None),
        "layers": lambda: board.layers([engine], 1),
        "verify": lambda: board.verify({}, 0.1, 2, True, lambda _: None, out),
    }
    return questions[path.name.partition(".")[0]]()
