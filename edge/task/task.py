"""The segmentation task: everything between a decoded image and a mask that is not the network.

One specification serves every backend and the C++ runtime, so that masks agree to the pixel. It starts from decoded
8-bit pixels:

1. **Channels.** ``grey`` is ITU-R 601 luma in integers, ``(19595 R + 38470 G + 7471 B + 32768) >> 16``; ``bgr``
   reverses the channels.
2. **Resize** on uint8, separable, horizontal pass first, each pass rounded back to uint8. Kernels widen with the
   downscaling factor (no aliasing): ``bilinear`` is the triangle, ``bicubic`` Keys' cubic with a = -0.5, ``area`` the
   box. Weights are normalised in double precision, then rounded to integers of 22 fractional bits. This is Pillow's
   8-bit resampling, which is what runs here. ``nearest`` takes source index ``floor((i + 0.5) * in / out)`` in exact
   arithmetic (Pillow's own adds up steps in floating point and is one pixel off for some pairs of sizes).
3. **Normalise** through a table of 256 float32 values per channel, computed in double precision: ``fixed`` is
   ``(v / scale - mean) / std``; ``minmax`` is ``(v - min) / (max - min + 1e-6)`` over the resized image.
4. **Decide** at the network's size: one map is foreground where its probability reaches the threshold (compared on
   the logit, in float32); two softmax maps where ``map1 - map0`` reaches the threshold's logit; more take the largest,
   the lowest index on ties.
5. **Return** to the image's own size by ``nearest``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.errors import InputError

Channels = Literal["rgb", "bgr", "grey"]
Resize = Literal["bilinear", "bicubic", "area", "nearest"]
Normalize = Literal["fixed", "minmax"]
Output = Literal["logits", "probabilities"]
Activation = Literal["sigmoid", "softmax", "none"]

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "channels": ("rgb", "bgr", "grey"),
    "resize": ("bilinear", "bicubic", "area", "nearest"),
    "normalize": ("fixed", "minmax"),
    "output": ("logits", "probabilities"),
    "activation": ("sigmoid", "softmax", "none"),
}
_KERNELS: Mapping[str, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}
_MINMAX_EPSILON = 1e-6
_MOST_CLASSES = 256  # masks are uint8
METADATA_KEY = "segedge.task"


@dataclass(frozen=True)
class SegmentationTask:
    """What the network sees and what its output means.

    Attributes:
        size: height and width of the network's input, in pixels.
        channels: channel order the network was trained on.
        resize: kernel that brings an image to ``size``.
        normalize: ``fixed`` uses ``scale``, ``mean``, ``std``; ``minmax`` stretches each image to [0, 1].
        scale, mean, std: ``(pixel / scale - mean) / std``, one mean and std per channel (or one for all).
        classes: one name means a single foreground map; otherwise one map per class, the first being background.
        output: whether the graph returns logits or probabilities.
        activation: turns logits into probabilities.
        output_name: the graph's output to read, where it has several.
        threshold: probability from which a pixel is foreground (one map, or two softmax maps).
    """

    size: tuple[int, int]
    channels: Channels = "rgb"
    resize: Resize = "bilinear"
    normalize: Normalize = "fixed"
    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    classes: tuple[str, ...] = ("foreground",)
    output: Output = "logits"
    activation: Activation = "sigmoid"
    output_name: str | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(f"task: {name} = {value!r} is not one of {', '.join(allowed)}; correct the task")
        if not (_all(self.size, int) and len(self.size) == 2 and min(self.size) >= 1):
            raise InputError(f"task: size = {_shown(self.size)} must be [height, width] in pixels; correct the task")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not (_all(values, float, int) and all(map(math.isfinite, values))):
                raise InputError(f"task: {name} = {_shown(values)} must be a list of numbers; correct the task")
            if len(values) not in (1, self.in_channels):
                raise InputError(
                    f"task: {name} has {len(values)} values for {self.in_channels} channels; give one or one each"
                )
        if not (_all((self.scale, self.threshold), float, int) and math.isfinite(self.scale)):
            raise InputError("task: scale and threshold must be numbers; correct the task")
        if self.scale == 0 or 0 in self.std:
            raise InputError("task: scale and std must not be 0; correct the task")
        if not _all(self.classes, str) or len(set(self.classes)) < len(self.classes):
            raise InputError(
                f"task: classes = {_shown(self.classes)} must be a list of distinct names; correct the task"
            )
        if not 1 <= len(self.classes) <= _MOST_CLASSES:
            raise InputError(
                f"task: {len(self.classes)} classes; name at least the foreground class, and at most {_MOST_CLASSES}"
            )
        if not isinstance(self.output_name, str | None):
            raise InputError(f"task: output_name = {self.output_name!r} is not a name; correct the task")
        if self.activation == "sigmoid" and len(self.classes) > 1:
            raise InputError("task: sigmoid has one foreground map, but several classes are named; use softmax")
        if self.activation == "softmax" and len(self.classes) == 1:
            raise InputError("task: softmax over one class is always 1; name the background class as well")
        if not 0.0 < self.threshold < 1.0:
            raise InputError(f"task: threshold = {self.threshold} must lie between 0 and 1; correct the task")

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: 1 for grey, else 3."""
        return 1 if self.channels == "grey" else 3

    @property
    def maps(self) -> int:
        """Channels of the network's output, one per class name."""
        return len(self.classes)

    @property
    def foreground(self) -> tuple[tuple[int, str], ...]:
        """Label index and name of every class that is scored: all but the background."""
        if self.maps == 1:
            return ((1, self.classes[0]),)
        return tuple((index, name) for index, name in enumerate(self.classes) if index)

    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Decoded pixels to the network's input, without the batch axis.

        Args:
            pixels: ``[h, w, 3]`` RGB or ``[h, w]`` grey, uint8, any size.

        Returns:
            ``[channels, height, width]`` float32 at ``self.size``.
        """
        return self.normalized(self.resized(pixels))

    def resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Steps 1 and 2: ``[h, w, 3]`` or ``[h, w]`` uint8 to ``[height, width, channels]`` uint8."""
        height, width = self.size
        image = Image.fromarray(pixels).convert("L" if self.channels == "grey" else "RGB")
        if self.resize in _KERNELS and image.size != (width, height):
            # One pass per call: Pillow 13 may run the vertical pass first by itself, which rounds otherwise.
            kernel = _KERNELS[self.resize]
            image = image.resize((width, image.height), kernel).resize((width, height), kernel)
        array = resize_labels(np.asarray(image, dtype=np.uint8), (height, width))
        array = array.reshape(height, width, self.in_channels)
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
        """The network's output to a label map at the image's own size.

        Args:
            output: ``[maps, height, width]`` float32, what the graph returned for one image.
            shape: height and width of the image.

        Returns:
            ``[h, w]`` uint8 of class indices (0 is background; a single foreground map gives 0 and 1).
        """
        return resize_labels(self.decide(output), shape)

    def decide(self, output: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Step 4: ``[maps, height, width]`` float32 to ``[height, width]`` uint8 class indices."""
        if self.maps == 1:
            return (output[0] >= self.cut).astype(np.uint8)
        if self.maps == 2 and self.activation == "softmax":
            difference = output[1] - output[0]
            return (difference >= self.cut).astype(np.uint8)
        return output.argmax(axis=0).astype(np.uint8)

    @property
    def cut(self) -> np.float32:
        """The value that a map (or the difference of two softmax maps) must reach to be foreground, float32."""
        if self.activation == "none":
            return np.float32(self.threshold)
        if self.output == "logits":
            return np.float32(math.log(self.threshold / (1.0 - self.threshold)))
        # Two probabilities sum to 1: p1 >= t is p1 - p0 >= 2t - 1.
        return np.float32(self.threshold if self.maps == 1 else 2.0 * self.threshold - 1.0)

    def to_table(self) -> dict[str, Any]:
        """Plain values, as in ``task.toml`` and in reports."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items() if v is not None}

    def to_json(self) -> str:
        """The text that rides in an ONNX file's ``metadata_props`` under ``segedge.task``."""
        return json.dumps(self.to_table(), sort_keys=True)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str | Path) -> SegmentationTask:
        """Build a task from the ``[task]`` table of a TOML file or from metadata.

        Args:
            table: keys of ``task.toml``.
            where: the file it came from, for messages.

        Raises:
            InputError: unknown keys, a missing size, or values that contradict each other.
        """
        if not isinstance(table, Mapping):
            raise InputError(f"{where}: the task is not a table; see the README for an example")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(table) - known)
        if unknown:
            raise InputError(f"{where}: unknown task key {unknown[0]!r}; known keys are {', '.join(sorted(known))}")
        if "size" not in table:
            raise InputError(f"{where}: the task names no size; add size = [height, width]")
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: the task has a value of the wrong kind ({error}); correct it") from None


def load_task(path: Path) -> SegmentationTask:
    """Read ``task.toml``: a file with one ``[task]`` table.

    Raises:
        InputError: the file is missing, is not TOML, or its task is wrong.
    """
    from edge.files import read_toml

    document = read_toml(path)
    if "task" not in document:
        raise InputError(f"{path}: no [task] table; see the README for an example")
    return SegmentationTask.from_table(document["task"], path)


def resize_labels(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Nearest-neighbour resize of ``[h, w]`` class indices: source index ``floor((i + 0.5) * in / out)``."""
    return nearest(labels, shape)


def nearest(array: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Nearest-neighbour resize of the first two axes: source index ``floor((i + 0.5) * in / out)``, in integers."""
    if array.shape[:2] == shape:
        return array
    rows, columns = (
        ((2 * np.arange(out, dtype=np.int64) + 1) * size) // (2 * out)
        for out, size in zip(shape, array.shape[:2], strict=True)
    )
    resized: NDArray[np.uint8] = array[rows[:, None], columns[None, :]]
    return resized


def _all(values: Any, *kinds: type) -> bool:
    """Whether this is a tuple of such values; a bool counts as no number."""
    return isinstance(values, tuple) and all(isinstance(v, kinds) and not isinstance(v, bool) for v in values)


def _shown(values: Any) -> Any:
    return list(values) if isinstance(values, tuple) else repr(values)
