"""Voxels: an uncompressed array inside a file, one slice of which is read without the others."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import MACHINE_FAULTS, InputError, MachineError
from edge.safety.limits import exceeded, limits

_BLOCK = 4 << 20
_WORTH_A_READ = 4096  # bytes in a row below which reading the gaps too is faster


@dataclass(frozen=True)
class Voxels:
    """An array of the file system: where it begins and how it is laid out.

    Attributes:
        stream: the open file; closed by its owner.
        offset: of the first element, in bytes.
        shape: of the array.
        dtype: of the file, byte order included.
        fortran: the first axis varies fastest.
    """

    stream: IO[bytes]
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool = False

    def __post_init__(self) -> None:
        have = os.fstat(self.stream.fileno()).st_size
        need = self.offset + math.prod(self.shape) * self.dtype.itemsize
        if have < need:
            raise InputError(f"ends after {have} bytes where its header promises {need}; copy it again")

    def slice(self, axis: int, index: int) -> NDArray[Any]:
        """``array.take(index, axis)``, of which at most that and a few megabytes are held at once."""
        shape, axis = (self.shape[::-1], len(self.shape) - 1 - axis) if self.fortran else (self.shape, axis)
        outer, length, rest = math.prod(shape[:axis]), shape[axis], shape[axis + 1 :]
        inner = math.prod(rest)
        result = np.empty((outer, inner), self.dtype)
        together = 1 if inner * self.dtype.itemsize >= _WORTH_A_READ else self._rows_at_once(length * inner)
        for first in range(0, outer, together):
            rows = min(together, outer - first)
            if together == 1:
                result[first] = self._read((first * length + index) * inner, inner)
            else:
                block = self._read(first * length * inner, rows * length * inner)
                result[first : first + rows] = block.reshape(rows, length, inner)[:, index]
        taken = result.reshape(*shape[:axis], *rest)
        return taken.T if self.fortran else taken

    def _rows_at_once(self, elements: int) -> int:
        return max(2, _BLOCK // max(1, elements * self.dtype.itemsize))

    def _read(self, first: int, count: int) -> NDArray[Any]:
        size = self.dtype.itemsize
        data = b""
        while len(data) < count * size:  # pread returns less than asked for only past 2 GB
            more = os.pread(self.stream.fileno(), count * size - len(data), self.offset + first * size + len(data))
            if not more:
                raise InputError("was cut short while it was read; copy it again")
            data = data + more if data else more
        return np.frombuffer(data, self.dtype)


def spooled(fill: Callable[[IO[bytes]], None]) -> IO[bytes]:
    """An unnamed temporary file that ``fill`` has written, so that a compressed volume is held on disk, not in memory.

    Raises:
        MachineError: no room for it.
    """
    folder = tempfile.gettempdir()
    try:
        stream = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller, who closes it
        try:
            fill(stream)
            stream.flush()
        except BaseException:
            stream.close()
            raise
    except OSError as error:
        if error.errno not in MACHINE_FAULTS:
            raise
        raise MachineError(
            f"{folder}: no room to unpack a volume ({error.strerror}); free the disk or set TMPDIR to another folder"
        ) from error
    return stream


def inflated(source: IO[bytes], where: object) -> IO[bytes]:
    """What a compressed stream holds, in a temporary file.

    Raises:
        InputError: more than the limit of inflated bytes.
        MachineError: no room for it.
    """

    def fill(stream: IO[bytes]) -> None:
        total = 0
        while block := source.read(_BLOCK):
            total += len(block)
            if total > limits().inflated_bytes:
                raise exceeded(where, "inflates further", "inflated_bytes")
            stream.write(block)

    return spooled(fill)
