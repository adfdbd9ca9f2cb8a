"""Frames: what a workstation and a board say over a pipe, a table and raw arrays with their lengths before them.

::

    4 bytes   length of the head, big-endian
    head      JSON: {"table": {...}, "arrays": [[dtype, shape], ...]}
    body      the arrays' bytes, one after the other

Either end may be hostile to the other: lengths, types and shapes are checked before anything is made of them.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..safety.guard import parse_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = Callable[[int], bytes]
"""Exactly so many bytes; raises where the line ends before."""

LARGEST_HEAD = 32 << 20
LARGEST_REQUEST = 2 << 30
"""What a board takes: an ONNX file is no larger. What a workstation takes of a board is among its limits."""

_MOST_ARRAYS = 4096
_MOST_SIDES = 8
_TYPES = ("<f4", "<f8", "|u1")
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        table: plain values.
        arrays: float32, float64 or uint8.
    """

    table: Mapping[str, Any]
    arrays: tuple[NDArray[Any], ...] = ()


def pack(table: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> Iterator[bytes]:
    """The bytes of a frame, in pieces."""
    plain = [np.ascontiguousarray(array) for array in arrays]
    head = json.dumps({"table": table, "arrays": [[array.dtype.str, list(array.shape)] for array in plain]}).encode()
    yield _LENGTH.pack(len(head)) + head
    for array in plain:
        yield array.tobytes()


class LargeFrame(InputError):
    """A frame says that its arrays are larger than is read.

    Attributes:
        size: their bytes.
    """

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"a message's arrays have {size} bytes, more than the {most} that are read")
        self.size = size


def read_frame(read: Read, largest_body: int) -> Frame:
    """The next frame.

    Args:
        read: from the line.
        largest_body: bytes of all arrays together.

    Raises:
        LargeFrame: its arrays are larger than that; nothing of them was read.
        InputError: what comes is no frame.
    """
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > LARGEST_HEAD:
        raise InputError(f"a message's head of {length} bytes is too long; {LARGEST_HEAD} is the most")
    head = parse_json(read(length), "a message", "start again")
    if not isinstance(head, dict) or not isinstance(head.get("table"), dict):
        raise InputError("a message holds no table; start again")
    forms = [_form(row) for row in _rows(head.get("arrays"))]
    size = sum(dtype.itemsize * math.prod(shape) for dtype, shape in forms)
    if size > largest_body:
        raise LargeFrame(size, largest_body)
    return Frame(head["table"], tuple(_array(read, *form) for form in forms))


def _rows(arrays: Any) -> Sequence[Any]:
    if not isinstance(arrays, list) or len(arrays) > _MOST_ARRAYS:
        raise InputError("a message's list of arrays is none, or too long; start again")
    return arrays


def _form(row: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape of an array, from its entry in the head."""
    if not isinstance(row, list) or len(row) != 2 or row[0] not in _TYPES or not isinstance(row[1], list):
        raise InputError("a message's array has no type that is known; start again")
    if len(row[1]) > _MOST_SIDES or any(type(side) is not int or side < 0 or side > LARGEST_REQUEST for side in row[1]):
        raise InputError("a message's array has no shape; start again")
    return np.dtype(row[0]), tuple(row[1])


def _array(read: Read, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.frombuffer(read(dtype.itemsize * math.prod(shape)), dtype).reshape(shape)
