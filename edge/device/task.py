"""The segmentation task on the device: the same five steps, to the bit, as SegEdge takes on the workstation.

1. Channels: ``grey`` is ITU-R 601 luma in integers; ``bgr`` reverses. 2. Resize on uint8 (:mod:`.resample`).
3. Normalise through a table of 256 float32 values per channel. 4. Decide at the network's size. 5. Return to the
image's own size by nearest neighbour. Bundled images are stored after step 2, so no image library is needed for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from .resample import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MINMAX_EPSILON = 1e-6


@dataclass(frozen=True)
class Task:
    """What the network sees and what its output means; fields as in ``task.toml``."""

    size: tuple[int, int]
    channels: str
    resize: str
    normalize: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    output: str
    activation: str
    output_name: str | None
    threshold: float

    @property
    def maps(self) -> int:
        """Channels of the network's output."""
        return len(self.classes)

    @property
    def in_channels(self) -> int:
        """Channels of the network's input."""
        return 1 if self.channels == "grey" else 3

    @property
    def foreground(self) -> tuple[tuple[int, str], ...]:
        """Label index and name of every class that is scored."""
        if self.maps == 1:
            return ((1, self.classes[0]),)
        return tuple((index, name) for index, name in enumerate(self.classes) if index)

    @property
    def cut(self) -> np.float32:
        """The value that a map (or the difference of two softmax maps) must reach to be foreground."""
        if self.activation == "none":
            return np.float32(self.threshold)
        if self.output == "logits":
            return np.float32(math.log(self.threshold / (1.0 - self.threshold)))
        return np.float32(self.threshold if self.maps == 1 else 2.0 * self.threshold - 1.0)

    def resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Steps 1 and 2: ``[h, w]`` or ``[h, w, 3]`` RGB uint8 to ``[height, width, channels]`` uint8."""
        array = pixels if pixels.ndim == 3 else pixels[..., None]
        if self.channels == "grey" and array.shape[2] == 3:
            red, green, blue = (array[..., c].astype(np.uint32) for c in range(3))
            array = ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[..., None]
        elif self.channels != "grey" and array.shape[2] == 1:
            array = np.repeat(array, 3, axis=2)
        array = resize(array, self.size, self.resize)
        return array[..., ::-1] if self.channels == "bgr" else array

    def normalized(self, resized: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Step 3: ``[height, width, channels]`` uint8 to ``[channels, height, width]`` float32."""
        levels = np.arange(256, dtype=np.float64)
        if self.normalize == "minmax":
            low, high = int(resized.min()), int(resized.max())
            tables = ((levels - low) / (high - low + _MINMAX_EPSILON))[None].repeat(self.in_channels, axis=0)
        else:
            mean, std = (np.broadcast_to(np.asarray(v, np.float64), self.in_channels) for v in (self.mean, self.std))
            tables = (levels / self.scale - mean[:, None]) / std[:, None]
        tables = tables.astype(np.float32)
        return np.stack([tables[c][resized[..., c]] for c in range(self.in_channels)])

    def labels(self, output: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Steps 4 and 5: ``[maps, height, width]`` float32 to ``[h, w]`` uint8 class indices at the image's size."""
        return resize_labels(self.decide(output), shape)

    def decide(self, output: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Step 4: ``[maps, height, width]`` float32 to ``[height, width]`` uint8 class indices."""
        if self.maps == 1:
            return (output[0] >= self.cut).astype(np.uint8)
        if self.maps == 2 and self.activation == "softmax":
            difference = output[1] - output[0]
            return (difference >= self.cut).astype(np.uint8)
        return output.argmax(axis=0).astype(np.uint8)


def read_task(table: Mapping[str, Any]) -> Task:
    """The task from the table in a manifest (which always has every key but ``output_name``)."""
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    values.setdefault("output_name", None)
    return Task(**values)


def resize_labels(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Nearest-neighbour resize of ``[h, w]`` class indices: source index ``floor((i + 0.5) * in / out)``."""
    if labels.shape == tuple(shape):
        return labels
    rows, columns = (
        ((2 * np.arange(out, dtype=np.int64) + 1) * size) // (2 * out) for out, size in zip(shape, labels.shape)
    )
    resized: NDArray[np.uint8] = labels[rows[:, None], columns[None, :]]
    return resized
