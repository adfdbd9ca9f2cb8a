"""Files that survive a power cut: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Iterator

from .faults import BundleFault, MachineFault

_MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_table(table: Any) -> str:
    """Hex SHA-256 of plain values, independent of key order."""
    return sha256_bytes(json.dumps(table, sort_keys=True).encode())


def parse_json(data: bytes, where: str) -> Any:
    """Parse JSON that may have been tampered with.

    Raises:
        BundleFault: not JSON.
    """
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleFault(f"{where}: is not valid JSON ({error!s:.80})") from None


def read_json(path: Path) -> Any:
    """Read a JSON file of our own, or None where it is missing or was cut short."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file whole; after a power cut either the old or the new one is there."""
    with machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sibling = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with sibling.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(str(sibling), str(path))
        finally:
            with contextlib.suppress(FileNotFoundError):
                sibling.unlink()
        flush_folder(path.parent)


def write_json(path: Path, table: Any) -> None:
    """Replace a JSON file whole; NaN and infinity, which JSON lacks, are refused."""
    write_bytes(path, (json.dumps(table, indent=1, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a fresh sibling folder to fill; on success it takes the place of ``path``, on failure ``path`` stays."""
    with machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        token = uuid.uuid4().hex[:8]
        fresh, old = (path.with_name(f".{path.name}.{token}{end}") for end in ("", ".old"))
        fresh.mkdir()
        try:
            yield fresh
            for file in fresh.rglob("*"):
                if file.is_file():
                    _flush(file)
            if path.exists():
                os.replace(str(path), str(old))
            os.replace(str(fresh), str(path))
            flush_folder(path.parent)
        finally:
            shutil.rmtree(str(fresh), ignore_errors=True)
            if old.exists() and not path.exists():
                os.replace(str(old), str(path))
            if old.is_symlink():  # the place was a link; what it pointed to is not ours to remove
                old.unlink()
            shutil.rmtree(str(old), ignore_errors=True)


def flush_folder(path: Path) -> None:
    """Make renames in a folder survive a power cut."""
    _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems do not flush folders
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def machine_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into one sentence.

    Raises:
        MachineFault: names the path.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _MACHINE_ERRORS:
            raise MachineFault(
                f"{path}: cannot write ({error.strerror}); free the disk or choose another --out"
            ) from error
        raise
