"""The shelf: the stacks that were read last stay open, so that a volume is not opened anew for each of its planes.

Pictures are small and looked at again and again (their digests, the reference, each engine, the report), so the first
of them that fit into a bounded memory are decoded once. They are kept in the order they come and none makes room for
another: images are walked through from the first to the last, and keeping the latest would keep none of use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.images.readers import open_image, open_mask
from edge.images.readers.stack import Layout, Pixels, Stack

DECODED_BYTES = 64 << 20

_Key = tuple[str, Path, Layout]


class Shelf:
    """Opens stacks and keeps a few.

    Args:
        most: how many stay open; each may hold an open file and, where it is compressed, its copy on the disk.
        decoded_bytes: of pictures that stay decoded, none of them more than a sixteenth of it.
    """

    def __init__(self, most: int = 8, decoded_bytes: int = DECODED_BYTES) -> None:
        self._most, self._largest = most, decoded_bytes // 16
        self._open: OrderedDict[_Key, Stack] = OrderedDict()
        self._decoded: dict[_Key, tuple[tuple[int, ...], Pixels]] = {}
        self._room = decoded_bytes

    def __reduce__(self) -> tuple[type[Shelf], tuple[int, int]]:
        """Empty where it is sent to another process: what is open here is not open there."""
        return Shelf, (self._most, 16 * self._largest)

    def image(self, path: Path, layout: Layout) -> Stack:
        """The stack of an image.

        Raises:
            InputError, MachineError: as :func:`edge.images.readers.open_image`.
        """
        return self._get("image", path, layout, open_image)

    def mask(self, path: Path, layout: Layout) -> Stack:
        """The stack of a mask.

        Raises:
            InputError, MachineError: as :func:`edge.images.readers.open_mask`.
        """
        return self._get("mask", path, layout, open_mask)

    def _get(self, kind: str, path: Path, layout: Layout, opener: Callable[[Path, Layout], Stack]) -> Stack:
        key = (kind, path, layout)
        if key not in self._open:
            self._open[key] = self._remembering(key, opener(path, layout))
        self._open.move_to_end(key)
        while len(self._open) > self._most:
            self._open.popitem(last=False)[1].close()
        return self._open[key]

    def _remembering(self, key: _Key, stack: Stack) -> Stack:
        """The stack, decoded no more than once where it is a picture that fits."""
        if stack.volume or stack.depth != 1 or not stack.path.is_file():
            return stack

        def read(plane: int) -> Pixels:
            written, held = _written(stack.path), self._decoded.get(key)
            if held is not None and held[0] == written:
                return held[1]
            pixels = stack.read(plane)
            self._room += self._decoded.pop(key)[1].values.nbytes if held is not None else 0
            if pixels.values.nbytes <= min(self._largest, self._room):
                pixels.values.flags.writeable = False  # several will hold it
                self._decoded[key] = written, pixels
                self._room -= pixels.values.nbytes
            return pixels

        return replace(stack, read=read)


def _written(path: Path) -> tuple[int, ...]:
    """Which file it is and when it was written: a picture that is saved anew is decoded anew."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
