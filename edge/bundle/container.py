"""The container: a gzip file in which every byte counts.

One fixed header, whose extra field (RFC 1952, 2.3.1.1) holds the SHA-256 of everything after it, so that no byte can
change unnoticed, not even padding. Any gzip reads it.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import IO

from edge.errors import InputError

CHUNK = 1 << 20
_LEVEL = 6

# RFC 1952: magic, deflate, FEXTRA, no time, no hint, no operating system; one extra subfield "SE" of 32 bytes.
_HEADER = bytes([0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 255, 36, 0]) + b"SE" + bytes([32, 0])
_DIGEST_BYTES = 32


class Deflater:
    """Writes header, deflated data and trailer, and the hash of the last two into the header."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = self._size = 0
        self._digest = hashlib.sha256()
        stream.write(_HEADER + bytes(_DIGEST_BYTES))

    def write(self, data: bytes) -> None:
        """Add data."""
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        self._put(self._deflate.compress(data))

    def close(self) -> None:
        """Write what is left, the trailer and the hash; the stream stays open."""
        self._put(self._deflate.flush())
        self._put(self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        self._stream.seek(len(_HEADER))
        self._stream.write(self._digest.digest())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._stream.write(data)


def require_unchanged(stream: IO[bytes]) -> None:
    """Hash a whole file and leave it where the deflated data begin.

    Raises:
        InputError: not ours, or changed.
    """
    head = stream.read(len(_HEADER) + _DIGEST_BYTES)
    if not head.startswith(_HEADER) or len(head) != len(_HEADER) + _DIGEST_BYTES:
        raise InputError("is not a SegEdge bundle, or its first bytes were changed; copy it again")
    digest = hashlib.sha256()
    while block := stream.read(CHUNK):
        digest.update(block)
    if digest.digest() != head[len(_HEADER) :]:
        raise InputError("was changed since it was made (its hash differs); copy it again")
    stream.seek(len(head))


class Inflater:
    """Hands out exactly as many inflated bytes as asked for, so that no bomb is ever unfolded."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = b""
        self._crc = self._size = 0

    def read(self, size: int) -> bytes:
        """``size`` bytes (at most a chunk).

        Raises:
            InputError: the data end early or do not inflate.
        """
        parts, left = [], size
        while left:
            if not self._input and not self._inflate.eof:
                self._input = self._stream.read(CHUNK)
            try:
                data = self._inflate.decompress(self._input, left)
            except zlib.error as error:
                raise InputError(f"does not unpack ({error}); copy it again") from None
            if not data and (self._inflate.eof or not self._input):
                raise InputError("ends too early; copy it again")
            self._input = b"" if self._inflate.eof else self._inflate.unconsumed_tail
            parts.append(data)
            left -= len(data)
        whole = b"".join(parts)
        self._crc, self._size = zlib.crc32(whole, self._crc), self._size + len(whole)
        return whole

    def finish(self) -> None:
        """Make sure that nothing but the right trailer follows.

        Raises:
            InputError: more data, or a wrong trailer.
        """
        while not self._inflate.eof:
            data = self._input or self._stream.read(CHUNK)
            if not data:
                raise InputError("ends too early; copy it again")
            try:
                more = self._inflate.decompress(data, 1)
            except zlib.error as error:
                raise InputError(f"does not unpack ({error}); copy it again") from None
            if more:
                raise InputError("holds more than its manifest lists; do not use it, and ask its sender")
            self._input = self._inflate.unconsumed_tail
        trailer = self._inflate.unused_data + self._stream.read(9)
        if trailer != self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"):
            raise InputError("has a wrong trailer, or something behind it; copy it again")
