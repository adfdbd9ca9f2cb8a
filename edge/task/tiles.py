"""Images larger than the network: tiles at the image's own scale, and what the network says of them blended again.

1. **Grid.** Along each side tiles start every ``floor(side * (1 - overlap))`` pixels (at least 1); the last is moved
   back so that it ends where the image ends. An image smaller than a tile is padded around (the smaller half first).
2. **Weights.** ``mean``: 1. ``gaussian``: per side ``exp(x² / (-2 s²))``, x from the tile's middle, s an eighth of the
   side, in double precision, rounded to float32; a pixel's weight is the product of its row's and its column's, in
   float32, and at least 0.001 or the least weight there is, whichever is larger.
3. **Seams.** Tile by tile, row by row: ``sum += weight * value`` and ``total += weight`` in float32; a pixel's value is
   ``sum / total``. Values are what the graph returns (logits are blended, then decided).

It is MONAI's ``SlidingWindowInferer``. Only a band of one tile's height is kept at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Sequence

import numpy as np

from .fit import Placement
from .resample import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLENDS = ("gaussian", "mean")
_LEAST_WEIGHT = np.float32(1e-3)


@dataclass(frozen=True)
class Tile:
    """How an image is cut up.

    Attributes:
        overlap: of two neighbours, as a share of a tile's side.
        blend: gaussian trusts a tile's middle more than its borders; mean trusts all of it alike.
    """

    overlap: float = 0.25
    blend: str = "gaussian"


class Grid(Sequence[Placement]):
    """The tiles of an image, row by row; each says where it lies on the image, an image smaller than a tile in it.

    Args:
        shape: of the image.
        size: of a tile.
    """

    def __init__(self, tile: Tile, shape: tuple[int, int], size: tuple[int, int]) -> None:
        self.shape = shape
        self.size = size
        self.padded = (max(shape[0], size[0]), max(shape[1], size[1]))
        self.down, self.right = ((padded - own) // 2 for padded, own in zip(self.padded, shape))
        self.tops, self.lefts = (_starts(*pair, tile.overlap) for pair in zip(self.padded, size))

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __getitem__(self, index: Any) -> Any:
        if index < 0 or index >= len(self):
            raise IndexError(index)
        row, column = divmod(index, len(self.lefts))
        height, width = (min(own, side) for own, side in zip(self.shape, self.size))
        return Placement(self.tops[row], self.lefts[column], height, width, height, width, self.down, self.right)

    @property
    def middle(self) -> int:
        """The tile in the middle of the image, or just before it."""
        return ((len(self.tops) - 1) // 2) * len(self.lefts) + (len(self.lefts) - 1) // 2


class Blend:
    """Adds tiles up in the order of their grid and hands finished rows on.

    Args:
        grid: of the image.
        tile: its weights.
        upsample: kernel that brings an output smaller than a tile to its size.
        take: called with the first row, and ``[maps, rows, w]`` float32 of the image from there.
    """

    def __init__(
        self, grid: Grid, tile: Tile, upsample: str, take: Callable[[int, NDArray[np.float32]], object]
    ) -> None:
        self._grid = grid
        self._upsample = upsample
        self._take = take
        self._weights = weights(grid.size, tile.blend)
        self._total = np.zeros((grid.size[0], grid.padded[1]), np.float32)
        self._sum: NDArray[np.float32] | None = None
        self._index = 0
        self._top = 0

    def add(self, output: NDArray[np.float32]) -> None:
        """The next tile: ``[maps, rows, columns]`` float32; after the last, all rows are handed on."""
        grid = self._grid
        row, column = divmod(self._index, len(grid.lefts))
        self._move_to(grid.tops[row])
        values = resize(output.transpose(1, 2, 0), grid.size, self._upsample).transpose(2, 0, 1)
        if self._sum is None:
            self._sum = np.zeros((len(values), *self._total.shape), np.float32)
        across = slice(grid.lefts[column], grid.lefts[column] + grid.size[1])
        self._sum[:, :, across] += values * self._weights
        self._total[:, across] += self._weights
        self._index += 1
        if self._index == len(grid):
            self._hand_on(grid.size[0])

    def _move_to(self, top: int) -> None:
        """Start a row of tiles: hand on what no later tile reaches, and move the band down."""
        rows = top - self._top
        if rows == 0:
            return
        self._hand_on(rows)
        assert self._sum is not None
        for band in (self._sum, self._total[None]):
            band[:, : band.shape[1] - rows] = band[:, rows:].copy()
            band[:, max(band.shape[1] - rows, 0) :] = 0.0
        self._top = top

    def _hand_on(self, rows: int) -> None:
        assert self._sum is not None
        grid, height, width = self._grid, self._grid.shape[0], self._grid.shape[1]
        first, last = max(self._top, grid.down), min(self._top + rows, grid.down + height)
        if first >= last:
            return
        inside = slice(first - self._top, last - self._top)
        across = slice(grid.right, grid.right + width)
        self._take(first - grid.down, self._sum[:, inside, across] / self._total[inside, across])


def weights(size: tuple[int, int], blend: str) -> NDArray[np.float32]:
    """``[rows, columns]`` float32: how far each pixel of a tile is trusted."""
    if blend == "mean":
        return np.ones(size, np.float32)
    down, across = (_bell(side) for side in size)
    product: NDArray[np.float32] = down[:, None] * across
    return np.maximum(product, max(product.min(), _LEAST_WEIGHT))


def _bell(side: int) -> NDArray[np.float32]:
    deviation = side * 0.125
    places = (index - (side - 1) / 2.0 for index in range(side))
    return np.array([math.exp(x * x / (-2.0 * deviation * deviation)) for x in places], np.float32)


def _starts(length: int, side: int, overlap: float) -> list[int]:
    step = max(int(side * (1.0 - overlap)), 1)
    count = 1 if length == side else -(-(length - side) // step) + 1
    return [min(index * step, length - side) for index in range(count)]
