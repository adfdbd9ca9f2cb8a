"""The shelf: the stacks that were read last stay open, so that a volume is not opened anew for each of its planes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from edge.images.readers import open_image, open_mask
from edge.images.readers.stack import Layout, Stack


class Shelf:
    """Opens stacks and keeps a few.

    Args:
        most: how many stay open; each may hold an open file and, where it is compressed, its copy on the disk.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._open: OrderedDict[tuple[str, Path, Layout], Stack] = OrderedDict()

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
            self._open[key] = opener(path, layout)
        self._open.move_to_end(key)
        while len(self._open) > self._most:
            self._open.popitem(last=False)[1].close()
        return self._open[key]
