"""The table of what each TensorRT's ONNX parser takes (``parsers.toml``), and how to look things up in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_toml

Version = tuple[int, int]


@dataclass(frozen=True)
class Operator:
    """One operator of the table.

    Attributes:
        since: first version that takes it.
        limits: names of checks in :mod:`edge.lowering.limits` that each node of it must pass.
    """

    since: Version
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Parser:
    """What one version's parser takes.

    Attributes:
        version: that was asked for.
        opset: highest operator set that it reads with the meaning of that set.
        typed: whether the graph's own types give the precision (strong typing); otherwise builder flags do.
        weights: ``float`` where INT8 weights must be FP32 weights behind Q and DQ, else ``any``.
        operators: those it takes.
    """

    version: Version
    opset: int
    typed: bool
    weights: str
    operators: Mapping[str, Operator]

    @property
    def name(self) -> str:
        """For messages."""
        return f"TensorRT {self.version[0]}.{self.version[1]}"


def find_parser(tensorrt: str) -> Parser:
    """The parser of a TensorRT version, such as ``8.5.2``, ``10.3`` or ``10.16.2``.

    Raises:
        InputError: not a version, or one whose parser is not in the table.
    """
    version = parse_version(tensorrt)
    table = _table()
    generations = [row for row in table["generations"] if parse_version(row["version"]) <= version]
    # 9.x was never in a public release for these devices, and its parser was not read.
    if not generations or version[0] == 9 or version >= parse_version(table["unread"]["version"]):
        known = ", ".join(row["version"] for row in table["generations"])
        raise InputError(
            f"TensorRT {tensorrt}: its parser is not in the table; known are {known} and what lies between"
        )
    row = generations[-1]
    operators = {name: operator for name, operator in _operators().items() if operator.since <= version}
    return Parser(version, row["opset"], row["typed"], row["weights"], operators)


def parse_version(text: str) -> Version:
    """``"10.16.2"`` to ``(10, 16)``; a wheel may be a post-release, such as ``10.14.1.48.post1``.

    Raises:
        InputError: not a version.
    """
    found = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*(\.post\d+)?", text.strip())
    if found is None:
        raise InputError(f"TensorRT {text!r}: not a version; write it as 10.3")
    return int(found[1]), int(found[2])


@cache
def _table() -> dict[str, Any]:
    return read_toml(Path(str(files("edge.lowering") / "parsers.toml")))


@cache
def _operators() -> Mapping[str, Operator]:
    return {
        name: Operator(parse_version(row["since"]), tuple(row.get("limits", ())))
        for name, row in _table()["operators"].items()
    }
