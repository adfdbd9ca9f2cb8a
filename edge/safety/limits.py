"""Limits on what an input may ask of this machine: one table, which every parser enforces and an option raises.

They belong to the process, as the system's own resource limits do: a parser deep inside a library call has no other
way to learn of them. SECURITY.md prints this table, and a test holds it to that.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields, replace
from typing import Iterator

from ..errors import InputError


@dataclass(frozen=True)
class Limits:
    """What one input may ask for.

    Attributes:
        pixels: of one picture, before it is decoded.
        inflated_bytes: of everything in one compressed file (``.npz``, ``.tar.gz``), once unpacked.
        nodes: of one ONNX graph, once its functions are written out and its subgraphs counted.
        metadata_bytes: of the text that rides in one ONNX file.
        document_bytes: of one TOML, JSON or CSV file.
        depth: of tables and lists inside each other.
        digits: of one number.
        message_bytes: of the arrays, or the file, that a board answers with.
        native_seconds: of one call into a native library that reads a file.
    """

    pixels: int = 178_956_970
    inflated_bytes: int = 4 << 30
    nodes: int = 200_000
    metadata_bytes: int = 1 << 20
    document_bytes: int = 64 << 20
    depth: int = 64
    digits: int = 300
    message_bytes: int = 256 << 20
    native_seconds: int = 600


_current = [Limits()]


def limits() -> Limits:
    """The limits in force."""
    return _current[-1]


@contextlib.contextmanager
def limited(changed: Limits) -> Iterator[Limits]:
    """Other limits for the whole process, as long as the block runs."""
    _current.append(changed)
    try:
        yield changed
    finally:
        _current.pop()


def parse_limits(options: list[str]) -> Limits:
    """The table with some entries changed, as ``--limit pixels=5e8`` names them.

    Raises:
        InputError: no such limit, or not a positive number.
    """
    changed = limits()
    known = [field.name for field in fields(Limits)]
    for option in options:
        name, _, text = option.partition("=")
        if name not in known:
            raise InputError(f"--limit {option}: no limit {name!r}; there are {', '.join(known)}")
        try:
            value = int(float(text))
        except (ValueError, OverflowError):
            value = 0
        if value < 1:
            raise InputError(f"--limit {option}: {text!r} is not a positive number; give {name}=N")
        changed = replace(changed, **{name: value})
    return changed


def exceeded(where: object, found: str, name: str) -> InputError:
    """The refusal of an input that asks for more than a limit allows, with the option that raises it."""
    most = getattr(limits(), name)
    return InputError(f"{where}: {found}, more than the {most} that are read; where you trust it, {_raising(name)}")


def out_of_time(where: object, what: str) -> InputError:
    """The refusal of an input over which native code takes longer than ``native_seconds``.

    Args:
        where: the file.
        what: what was done with it.
    """
    return InputError(
        f"{where}: {what} did not end within the limit of seconds; export the model again, or, where you trust it, "
        + _raising("native_seconds")
    )


def _raising(name: str) -> str:
    """The command that raises a limit: on a board the code lies in the bundle's package, and there is no ``edge``."""
    package = __name__.partition(".")[0]
    option = f"--limit {name}=N"
    return f"run edge {option} ..." if package == "edge" else f"run python3 -m {package} ... {option}"
