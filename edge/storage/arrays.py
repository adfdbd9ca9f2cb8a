"""NumPy archives of others, read without trusting them: no pickles, no more than the limit, no array that lies.

Portable: it travels to boards (Python 3.8, standard library, numpy).
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from ..errors import InputError
from ..safety.guard import parsing, require_regular
from ..safety.limits import exceeded, limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_HEADER = 10_000  # of one array; a damaged one could exhaust the stack of the parser behind it
_BLOCK = 1 << 20


def read_arrays(path: Path, names: Sequence[str], remedy: str, most: int | None = None) -> dict[str, NDArray[Any]]:
    """Some arrays of an ``.npz`` file.

    Args:
        path: the archive.
        names: which arrays, without ``.npy``.
        remedy: the next step where it is damaged.
        most: bytes of all of them; None for the limit of inflated bytes.

    Raises:
        InputError: not such an archive, one that inflates to more, or without such an array.
        OSError: of the machine.
    """
    require_regular(path, "array file")
    most = limits().inflated_bytes if most is None else most
    with parsing(path, "a sound .npz file", remedy), zipfile.ZipFile(str(path)) as archive:
        members = {member.filename: member for member in archive.infolist()}
        wanted = {name: members.get(f"{name}.npy") for name in names}
        missing = [name for name, member in wanted.items() if member is None]
        if missing:
            raise InputError(f"{path}: holds no array {missing[0]!r}; {remedy}")
        total = sum(member.file_size for member in wanted.values() if member)
        if total > most:
            raise exceeded(path, f"inflates to {total} bytes", "inflated_bytes")
        return {name: _array(archive, member, path) for name, member in wanted.items() if member}


def parse_array(data: bytes, where: object, remedy: str = "save it again") -> NDArray[Any]:
    """One array of the ``.npy`` format.

    Raises:
        InputError: damaged, of Python objects, or of another size than its header says.
    """
    with parsing(where, "a sound .npy array", remedy):
        return _parsed(io.BytesIO(data), len(data))


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    """Read in blocks, so that a member which holds more than it says is cut off and not believed."""
    data = bytearray()
    with archive.open(member) as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            data += block
            if len(data) > member.file_size:
                raise InputError(f"{path}: {member.filename!r} is longer than it says; copy it again")
    return _parsed(io.BytesIO(data), len(data))


def _parsed(stream: io.BytesIO, size: int) -> NDArray[Any]:
    version = np.lib.format.read_magic(stream)
    start = stream.tell()
    length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
    if length > _LONGEST_HEADER or version not in ((1, 0), (2, 0)):
        raise ValueError("its header is not one that is read")
    stream.seek(start)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or any(side < 0 for side in shape):
        raise ValueError("it holds Python objects or has a negative side")
    count = math.prod(shape)
    if count * dtype.itemsize != size - stream.tell():
        raise ValueError("its header says another size than it has")
    flat = np.frombuffer(stream.getbuffer(), dtype, count, stream.tell()) if count else np.empty(0, dtype)
    return np.array(flat.reshape(shape, order="F" if fortran else "C"))
