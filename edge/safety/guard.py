"""The guard around every parser: whatever a file does to it ends in one sentence that names the file.

Portable: it travels to boards (Python 3.8, standard library). A parser of ours or of a library runs inside
:func:`parsing`; a file is opened by :func:`read_bytes` or :func:`read_text`, which refuse what would never end.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import struct
import threading
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator

from ..errors import MACHINE_FAULTS, EdgeError, InputError, first_line, machine_fault
from .limits import exceeded, limits

PARSER_FAULTS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,  # UnicodeError and JSONDecodeError are ones
    struct.error,
    tokenize.TokenError,  # numpy's headers are Python literals
    zipfile.BadZipFile,
    zlib.error,
)
"""What parsers raise over damaged input, other than the operating system's errors."""

PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
"""The only decoders that are ever asked, as Pillow names them: others start programs or are seldom attacked."""
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_OPENING = threading.Lock()  # Pillow's limit belongs to the whole process
_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


@contextlib.contextmanager
def parsing(where: object, what: str, remedy: str, *faults: type[Exception]) -> Iterator[None]:
    """Turn whatever a parser raises over its input into one refusal.

    Args:
        where: the file, for the sentence.
        what: what it should have been (``valid JSON``, ``a sound ONNX file``).
        remedy: the next step.
        faults: errors of the parser's own library, besides :data:`PARSER_FAULTS`.

    Raises:
        InputError: the parser failed.
        MachineError: it failed for want of memory or disk.
        OSError: of the machine (disk, permission, memory), as it came.
    """
    try:
        yield
    except EdgeError:
        raise
    except OSError as error:
        if error.errno in MACHINE_FAULTS:
            raise
        raise InputError(f"{where}: is not {what} ({_reason(error)}); {remedy}") from None
    except PARSER_FAULTS + faults as error:
        fault = machine_fault(where, str(error))
        if fault is not None:
            raise fault from error
        raise InputError(f"{where}: is not {what} ({_reason(error)}); {remedy}") from None


def require_regular(path: Path, what: str = "file") -> int:
    """Refuse anything but a plain file, which a pipe or a device would have us wait for.

    Returns:
        Its size in bytes.

    Raises:
        InputError: missing, a folder, a pipe, a device, or no name that a file can have.
        PermissionError: it may not be looked at.
    """
    try:
        status = os.stat(str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such {what}; check the path") from None
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be the name of a {what} ({_reason(error)}); check the path") from None
    if not stat.S_ISREG(status.st_mode):
        kind = next((sentence for test, sentence in _KINDS if test(status.st_mode)), "is no plain file")
        raise InputError(f"{path}: {kind}; give a plain file")
    return status.st_size


def read_bytes(path: Path, what: str = "file", most: int | None = None) -> bytes:
    """A plain file whole.

    Args:
        path: the file.
        what: for the sentence ("image", "task").
        most: bytes; None reads any size.

    Raises:
        InputError: as :func:`require_regular`, or larger than ``most``.
        OSError: of the machine.
    """
    size = require_regular(path, what)
    if most is not None and size > most:
        raise InputError(f"{path}: has {size} bytes, more than the {most} of any {what}; check the path")
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in MACHINE_FAULTS:
            raise
        raise InputError(f"{path}: cannot be read ({_reason(error)}); check the path") from None


def read_document(path: Path, what: str = "file") -> bytes:
    """A plain file of at most ``document_bytes``, whole.

    Raises:
        InputError: as :func:`require_regular`, or larger than the limit.
        OSError: of the machine.
    """
    size = require_regular(path, what)
    if size > limits().document_bytes:
        raise exceeded(path, f"has {size} bytes", "document_bytes")
    return read_bytes(path, what)


def read_text(path: Path, what: str = "file") -> str:
    """A UTF-8 text file of at most ``document_bytes``; a byte-order mark is dropped.

    Raises:
        InputError: as :func:`require_regular`, larger than the limit, or not UTF-8.
        OSError: of the machine.
    """
    data = read_document(path, what)
    with parsing(path, "UTF-8 text", "give a text file, saved as UTF-8"):
        return data.decode("utf-8-sig")


def parse_json(text: str | bytes, where: object, remedy: str = "make it again") -> Any:
    """Values of a JSON text, within the limits of depth and digits; NaN and infinity, which JSON lacks, are refused,
    and a name that stands twice in a table, of which each parser takes another.

    Raises:
        InputError: not such a text.
    """
    with parsing(where, "valid JSON", remedy):
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded, parse_int=_integer(where), parse_constant=_no_constant, object_pairs_hook=_table)
    require_plain(value, where, finite=True)
    return value


def require_plain(value: Any, where: object, finite: bool = False) -> None:
    """Refuse parsed values that later steps would fail on: too deep, too many digits, text that is no Unicode.

    Args:
        value: of a parser: tables, lists, texts, numbers.
        where: the file, for the sentence.
        finite: refuse numbers that overflow a float as well.

    Raises:
        InputError: names what.
    """
    most = limits()
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > most.depth:
            raise exceeded(where, f"tables and lists lie {depth} deep in each other", "depth")
        if isinstance(item, dict):
            pending.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, (list, tuple)):
            pending.extend((part, depth + 1) for part in item)
        elif isinstance(item, str):
            _require_unicode(item, where)
        elif isinstance(item, int):
            if item.bit_length() > most.digits * math.log2(10):
                raise exceeded(
                    where, f"a number has {int((item.bit_length() - 1) / math.log2(10)) + 1} digits", "digits"
                )
        elif finite and isinstance(item, float) and not math.isfinite(item):
            raise InputError(f"{where}: holds a number that is not finite; correct it")


def picture_format(head: bytes) -> str | None:
    """Which of :data:`PICTURE_FORMATS` a file begins like; None for any other."""
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def require_picture(path: Path) -> str:
    """Refuse a file that none of the named decoders reads, whatever its suffix says, before a decoder sees it.

    Returns:
        Its format, to be the only decoder that is asked.

    Raises:
        InputError: as :func:`require_regular`, or of another format.
    """
    require_regular(path, "image")
    with path.open("rb") as stream:
        found = picture_format(stream.read(8))
    if found is None:
        raise InputError(
            f"{path}: does not decode as an image (is none of {', '.join(PICTURE_FORMATS)}); replace or remove it"
        )
    return found


def require_pixels(path: object, width: int, height: int) -> None:
    """Refuse a picture that declares more pixels than are decoded, or none.

    Raises:
        InputError: names their number.
    """
    if width < 1 or height < 1:
        raise InputError(f"{path}: does not decode as an image (it is {width}x{height}); replace or remove it")
    if width * height > limits().pixels:
        raise exceeded(path, f"has {width * height} pixels", "pixels")


@contextlib.contextmanager
def own_pixel_limit(pillow: Any) -> Iterator[None]:
    """Have Pillow's own limit, which no option raises, be silent while it opens a file: :func:`require_pixels` counts.

    Args:
        pillow: the module ``PIL.Image``.
    """
    with _OPENING:
        before, pillow.MAX_IMAGE_PIXELS = pillow.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            pillow.MAX_IMAGE_PIXELS = before


def printable(text: str) -> str:
    """Text as it may be shown on a terminal: control characters, and bytes that are no text, as escapes."""
    return "".join(
        c if (c.isprintable() or c == "\n") and not "\ud800" <= c <= "\udfff" else repr(c)[1:-1] for c in text
    )


def _require_unicode(text: str, where: object) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{where}: {text[:40]!r} is no Unicode text; save it as UTF-8") from None


def _integer(where: object) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if len(text) > limits().digits + 1:
            raise exceeded(where, f"a number has {len(text.lstrip('-'))} digits", "digits")
        return int(text)

    return parse


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice in a table")
    return table


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not str(error) or isinstance(error, LookupError):  # a KeyError says nothing but the key
        return f"{type(error).__name__} {error}".strip()[:200]
    return first_line(error)[:200]
