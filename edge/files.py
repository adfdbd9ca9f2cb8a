"""Files on disk: hashes, TOML and JSON, and writing that survives a failure or a power cut whole or not at all.

Whatever is replaced is written beside its place, flushed to the disk, then renamed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from .errors import MACHINE_FAULTS, EdgeError, InputError, MachineError
from .safety.guard import parse_json, parsing, read_text, require_plain
from .storage.swap import draft, flush, held, swap


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_table(table: Any) -> str:
    """Hex SHA-256 of plain values, independent of key order."""
    return sha256_bytes(json.dumps(table, sort_keys=True).encode())


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        InputError: missing, a folder or a pipe, not TOML, or beyond the limits of depth and digits.
        PermissionError: it may not be read, which is the machine's fault and not the file's.
    """
    return parse_toml(read_text(path), path)


def parse_toml(text: str, where: str | Path) -> dict[str, Any]:
    """Parse the text of a TOML file.

    Raises:
        InputError: not TOML, or beyond the limits of depth and digits.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    with parsing(where, "valid TOML", "correct the file"):
        table = tomllib.loads(text)
    require_plain(table, where)
    return table


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        InputError: missing, a folder or a pipe, not JSON, or beyond the limits of depth and digits.
        PermissionError: it may not be read.
    """
    return parse_json(read_text(path), path)


def recover_json(path: Path) -> Any:
    """Read a JSON file of our own, or None where it is missing or was cut short."""
    try:
        return read_json(path)
    except (OSError, EdgeError):
        return None


def read_document(path: Path, schema: str, remedy: str) -> dict[str, Any]:
    """Parse a JSON file of ours.

    Args:
        path: the file.
        schema: what its ``schema`` must be.
        remedy: the next step where it is another, for the error's sentence.

    Returns:
        The table without its ``schema``.

    Raises:
        InputError: missing, unreadable, not JSON, or of another schema.
    """
    table = read_json(path)
    if not isinstance(table, dict) or table.pop("schema", None) != schema:
        raise InputError(f"{path}: is not of schema {schema}; {remedy}")
    return table


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write; on success it becomes ``path``, on failure it is removed.

    A link at ``path`` stays, and what it points to is replaced.

    Raises:
        InputError: ``path`` names a folder, nothing at all, or a place where no file can be.
        MachineError: the disk is full or the folder is not writable.
    """
    with _machine_faults(path):
        if not path.name or path.is_dir():
            raise InputError(f"{path}: is a folder; give --out the name of a file")
        place = Path(os.path.realpath(path))
        _make_folder(place.parent, path)
        with draft(place, _make_file) as sibling:
            yield sibling
            flush(sibling)
            swap(sibling, place)


@contextmanager
def replaced_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill; on success it is swapped in whole, on failure the old one stays.

    A link at ``path`` stays, and the folder that it points to is replaced.

    Args:
        path: the folder to make or replace.
        marker: a file name that only our folders hold (``report.json``, ``engine.json``). A folder with other
            contents is never replaced.

    Raises:
        InputError: ``path`` exists and is not empty, but does not hold ``marker``.
        MachineError: the disk is full or the parent folder is not writable.
    """
    with _machine_faults(path):
        place = Path(os.path.realpath(path))
        if not place.name:
            raise InputError(f"{path}: cannot be replaced; choose another --out")
        _make_folder(place.parent, path)
        with held(place.parent):
            _require_replaceable(place, path, marker)
        with draft(place, lambda fresh: _make_folder(fresh, path)) as fresh:
            yield fresh
            flush(fresh)
            with held(place.parent):
                _require_replaceable(place, path, marker)  # it may have come to hold something else meanwhile
                swap(fresh, place)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file through a temporary sibling."""
    with replaced_file(path) as sibling:
        sibling.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through a temporary sibling."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON through a temporary sibling; NaN and infinity are refused, since JSON has none."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Readable JSON as every file of ours has it."""
    return (json.dumps(value, indent=1, sort_keys=False, allow_nan=False) + "\n").encode()


def _require_replaceable(place: Path, path: Path, marker: str) -> None:
    if os.path.lexists(place) and not (place.is_dir() and ((place / marker).is_file() or not any(place.iterdir()))):
        raise InputError(f"{path}: holds something else (no {marker} in it); choose another --out")


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def _make_folder(folder: Path, path: Path) -> None:
    """Make a folder that ``path`` needs; whatever the machine is not to blame for is a matter of the path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path}: a folder on the way is a file; choose another --out") from None
    except OSError as error:
        if error.errno in (*MACHINE_FAULTS, errno.ENAMETOOLONG):
            raise
        raise InputError(f"{path}: cannot be made ({error.strerror}); choose another --out") from None


@contextmanager
def _machine_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in MACHINE_FAULTS:
            raise MachineError(
                f"{path}: cannot write ({error.strerror}); choose another --out or free the disk"
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{path}: the name is too long; choose another --out") from None
        raise
