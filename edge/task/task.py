"""The segmentation task: everything between an image's values and a mask that is not the network.

One specification serves every backend, the board and the C++ runtime, so that masks agree to the pixel. It starts from
decoded values, 8-bit, 16-bit (unsigned or signed) or float32:

1. **Channels.** ``grey`` is ITU-R 601 luma in integers, ``(19595 R + 38470 G + 7471 B + 32768) >> 16``; ``bgr``
   reverses the channels; named channels are taken as they come, numbers pick them.
2. **Intensity** (:mod:`.intensity`), where the task has any: float32 from here on. Without it values are 8-bit levels
   and stay integers until step 5.
3. **Place** (:mod:`.fit`, :mod:`.tiles`): stretch, letterbox, crop or tile.
4. **Resize** (:mod:`.resample`). On levels this is Pillow's 8-bit resampling, which is what runs here where Pillow is
   installed. ``nearest`` takes source index ``floor((i + 0.5) * in / out)`` in exact arithmetic (Pillow's own adds up
   steps in floating point and is one pixel off for some pairs of sizes). Padding has ``pad_value``; on levels, the
   nearest level to it.
5. **Normalise**, on levels through a table of 256 float32 values per channel, computed in double precision: ``fixed``
   is ``(v / scale - mean) / std``; ``minmax`` is ``(v - min) / (max - min + 1e-6)`` over what was resized. On float32
   values ``fixed`` is the same formula in double precision, rounded; ``minmax`` and ``zscore`` belong to step 2.
6. **Decide** (:mod:`.decide`) at the network's size: one map is foreground where its probability reaches the threshold
   (compared on the logit, in float32); two softmax maps where ``map1 - map0`` reaches the threshold's logit; more take
   the largest, the lowest index on ties; overlapping labels have a threshold each.
7. **Return** to the image's own size by ``nearest``. What a crop left out is background.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Sequence, Union

import numpy as np

from ..errors import InputError
from ..notebook.shown import Shown, Table
from . import channels as _channels
from .checks import require_sound
from .decide import cut, decide
from .fit import Placement, place, put, take_back
from .intensity import Intensity, apply, figures, learn, takes_figures
from .normalize import normalized, padding
from .plane import Plane, as_plane
from .refusal import require_spoken_of
from .resample import resize
from .statistics import Statistics
from .table import read_table, write_table
from .tiles import Blend, Grid, Tile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Image = Union[Plane, NDArray[Any]]
    Run = Callable[[NDArray[np.float32]], NDArray[Any]]

METADATA_KEY = "segedge.task"


@dataclass(frozen=True, repr=False)
class SegmentationTask(Shown):
    """What the network sees and what its output means.

    Attributes:
        size: height and width of the network's input, in pixels.
        channels: rgb, bgr or grey; or names in the network's order, or numbers of the image's channels.
        resize: kernel that brings an image to ``size``.
        normalize: ``fixed`` uses ``scale``, ``mean``, ``std``; ``minmax`` stretches to [0, 1]; ``zscore`` takes away
            the mean and divides by the deviation.
        scale, mean, std: ``(value / scale - mean) / std``, one mean and std per channel (or one for all). With an
            intensity that ends in [0, 1] the scale is 1 unless given.
        classes: one name means a single foreground map; otherwise one map per class, the first being background
            (overlapping labels have no background).
        output: whether the graph returns logits, probabilities, or labels (class indices that it decided itself).
        activation: turns logits into probabilities.
        output_name: the graph's output to read, where it has several.
        threshold: probability from which a pixel is foreground (one map, or two softmax maps).
        fit: how an image meets the network's size: stretch, letterbox, crop or tile.
        pad_value: what padding holds after intensity, before mean and std.
        tile: overlap and blending, for ``fit = "tile"``.
        overlapping: ``labels = "overlapping"``: one sigmoid map per class, each with its own threshold.
        thresholds: for overlapping labels, one per class or one for all; empty: ``threshold``.
        ignore: pixels of a mask file with this value are not counted.
        mask_values: value in a mask file (a number, or ``#rrggbb``) and the class it stands for.
        upsample: how an output smaller than ``size`` is brought to it before it is decided: bilinear or nearest. On
            loading this becomes a part of the graph.
        intensity: how values that are not 8-bit levels are read; None: the task knows 8-bit levels only.
    """

    size: tuple[int, int]
    channels: str | tuple[str | int, ...] = "rgb"
    resize: str = "bilinear"
    normalize: str = "fixed"
    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    classes: tuple[str, ...] = ("foreground",)
    output: str = "logits"
    activation: str = "sigmoid"
    output_name: str | None = None
    threshold: float = 0.5
    fit: str = "stretch"
    pad_value: float = 0.0
    tile: Tile = field(default_factory=Tile)
    overlapping: bool = False
    thresholds: tuple[float, ...] = ()
    ignore: int | None = None
    mask_values: tuple[tuple[str, int], ...] = ()
    upsample: str = "bilinear"
    intensity: Intensity | None = None

    def __post_init__(self) -> None:
        require_sound(self)

    def __repr__(self) -> str:
        (height, width), classes = self.size, ", ".join(self.classes)
        return f"<Task {width}x{height}, {self.in_channels} channels, {self.output}: {classes}>"

    def _table(self) -> Table:
        return ("key", "value"), self.to_table().items()

    # ------------------------------------------------------------------------------------------- what it says

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: 1 for grey, 3 for colours, else as many as are named."""
        if isinstance(self.channels, str):
            return 1 if self.channels == "grey" else 3
        return len(self.channels)

    @property
    def colours(self) -> bool:
        """Whether the channels are one picture's colours, rather than images of their own."""
        return isinstance(self.channels, str)

    @property
    def depths(self) -> tuple[int, ...] | None:
        """For ``channels = ["z-1", "z", "z+1"]`` the slices that make up an input, from the one at hand; else None."""
        return _channels.depths(self.channels)

    @property
    def maps(self) -> int:
        """Channels of the network's output: one per class name, or one of class indices."""
        return 1 if self.output == "labels" else len(self.classes)

    @property
    def foreground(self) -> tuple[tuple[int, str], ...]:
        """Label index and name of every class that is scored: all but the background.

        Where labels overlap there is no background, and the index is that of the class's map plus 1.
        """
        if self.overlapping or len(self.classes) == 1:
            return tuple((index + 1, name) for index, name in enumerate(self.classes))
        return tuple((index, name) for index, name in enumerate(self.classes) if index)

    @property
    def every_threshold(self) -> tuple[float, ...]:
        """One threshold per class, for overlapping labels."""
        given = self.thresholds or (self.threshold,)
        return given if len(given) == len(self.classes) else given * len(self.classes)

    @property
    def cut(self) -> np.float32:
        """The value that a map (or the difference of two softmax maps) must reach to be foreground, float32."""
        return cut(self.activation, self.output, self.maps, self.threshold)

    @property
    def eight_bit(self) -> bool:
        """Whether the task knows 8-bit levels only."""
        return self.intensity is None and self.normalize != "zscore"

    @property
    def in_levels(self) -> bool:
        """Whether pixels stay 8-bit integers up to the table of step 5. The extremes of a tiled image are no tile's."""
        return self.eight_bit and not (self.fit == "tile" and self.normalize == "minmax")

    @property
    def frozen(self) -> bool:
        """Whether nothing is left to be learned from a calibration set."""
        intensity = self.intensity
        needs = intensity is not None and intensity.scope == "set" and takes_figures(intensity, self.normalize)
        return not needs or intensity is None or intensity.learned is not None

    # ------------------------------------------------------------------------------------- image to network

    def preprocess(self, image: Image) -> NDArray[np.float32]:
        """An image to one input of the network, without the batch axis; of a tiled image, the tile in its middle.

        Args:
            image: a plane, or ``[h, w, channels]`` or ``[h, w]`` of uint8, uint16, int16 or float32, any size.

        Returns:
            ``[channels, height, width]`` float32 at ``self.size``.

        Raises:
            InputError: the image holds what the task does not speak of.
        """
        return self.normalized(self.resized(image))

    def resized(self, image: Image) -> NDArray[Any]:
        """Steps 1 to 4: ``[height, width, channels]``, uint8 levels or float32; of a tiled image, its middle tile."""
        values = self.values(image)
        return self.placed(values, self._middle(values.shape[:2]))

    def seen_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What a mask says of the pixels in :meth:`preprocess`, by nearest neighbour; padding is background.

        Args:
            labels: ``[h, w]``, or ``[classes, h, w]`` where labels overlap.

        Returns:
            The same with ``self.size`` for h and w.
        """
        maps = labels if labels.ndim == 3 else labels[None]
        placement = self._middle(maps.shape[1:])
        seen = put(maps.transpose(1, 2, 0), placement, self.size, "nearest", lambda _: 0.0).transpose(2, 0, 1)
        return seen if labels.ndim == 3 else seen[0]

    def inputs(self, image: Image, most: int | None = None) -> Iterator[NDArray[np.float32]]:
        """What the network sees of an image: ``[channels, height, width]``, once, or tile by tile.

        Args:
            image: as for :meth:`preprocess`.
            most: of many tiles, so many that are spread evenly over the image; None: every one.
        """
        values = self.values(image)
        places = self.placements((values.shape[0], values.shape[1]))
        count = len(places) if most is None else min(most, len(places))
        for index in np.linspace(0, len(places) - 1, count).round().astype(int):
            yield self.normalized(self.placed(values, places[int(index)]))

    def values(self, image: Image) -> NDArray[Any]:
        """Steps 1 and 2: ``[h, w, channels]`` at the image's own size, uint8 levels or float32."""
        plane = as_plane(image)
        require_spoken_of(plane, self)
        values = _channels.take(plane.values, self.channels)
        if self.in_levels:
            return values
        intensity = self.intensity or Intensity()
        return apply(values, intensity, self.normalize, self._statistics(plane, values, intensity))

    def placements(self, shape: tuple[int, int]) -> Sequence[Placement]:
        """Where the network looks on an image of ``shape``: once, or tile by tile."""
        if self.fit == "tile":
            return Grid(self.tile, shape, self.size)
        return [place(self.fit, shape, self.size)]

    def _middle(self, shape: tuple[int, ...]) -> Placement:
        places = self.placements((shape[0], shape[1]))
        return places[places.middle if isinstance(places, Grid) else 0]

    def placed(self, values: NDArray[Any], placement: Placement) -> NDArray[Any]:
        """Steps 3 and 4, for one placement."""
        return put(values, placement, self.size, self.resize, lambda part: padding(part, self))

    def normalized(self, resized: NDArray[Any]) -> NDArray[np.float32]:
        """Step 5: ``[height, width, channels]`` to ``[channels, height, width]`` float32."""
        return normalized(resized, self)

    # -------------------------------------------------------------------------------------- network to mask

    def labels(self, output: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The network's output to a label map at the image's own size.

        Args:
            output: ``[maps, height, width]`` float32, what the graph returned for one image; of a tiled image, what
                its blended tiles come to.
            shape: height and width of the image.

        Returns:
            ``[h, w]`` uint8 of class indices (0 is background; a single foreground map gives 0 and 1), or, where
            labels overlap, ``[classes, h, w]`` of 0 and 1.
        """
        if self.fit == "tile":
            return decide(output, self)
        labels = self.decide(output)
        if not self.overlapping:
            return take_back(labels, self.fit, self.size, shape)
        return take_back(labels.transpose(1, 2, 0), self.fit, self.size, shape).transpose(2, 0, 1)

    def decide(self, output: NDArray[Any]) -> NDArray[np.uint8]:
        """Step 6: ``[maps, rows, columns]`` to ``[rows, columns]`` class indices, or ``[classes, rows, columns]``."""
        if self.upsample != "nearest" and output.shape[1:] != self.size and self.output != "labels":
            output = resize(output.transpose(1, 2, 0), self.size, self.upsample).transpose(2, 0, 1)
        return decide(output, self)

    def segment(self, run: Run, image: Image, batch: int = 1) -> NDArray[np.uint8]:
        """An image to its labels, as :meth:`labels`, through the network.

        Args:
            run: ``[n, channels, height, width]`` float32 to ``[n, maps, rows, columns]``.
            image: as for :meth:`preprocess`.
            batch: how many tiles ``run`` takes at a time.
        """
        plane = as_plane(image)
        return self.assembled(self._outputs(run, plane, batch), plane.shape)

    def assembled(self, outputs: Iterable[NDArray[Any]], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """What the network returned for everything in :meth:`inputs` to labels, as :meth:`labels`.

        Args:
            outputs: ``[maps, rows, columns]`` each, in that order; taken one at a time.
            shape: height and width of the image.
        """
        if self.fit != "tile":
            return self.labels(next(iter(outputs)), shape)
        labels = np.zeros((len(self.classes), *shape) if self.overlapping else shape, np.uint8)

        def take(row: int, blended: NDArray[np.float32]) -> None:
            labels[..., row : row + blended.shape[1], :] = decide(blended, self)

        self._blend(outputs, shape, take)
        return labels

    def blend(self, run: Run, image: Image, take: Callable[[int, NDArray[np.float32]], object], batch: int = 1) -> None:
        """The blended outputs of a tiled image, band by band, so that memory does not grow with its height.

        Args:
            run, image, batch: as for :meth:`segment`.
            take: called with a first row and ``[maps, rows, w]`` float32 from there on.
        """
        plane = as_plane(image)
        self._blend(self._outputs(run, plane, batch), plane.shape, take)

    def _outputs(self, run: Run, plane: Plane, batch: int) -> Iterator[NDArray[Any]]:
        inputs = self.inputs(plane)
        while stacked := list(islice(inputs, batch)):
            yield from run(np.stack(stacked))

    def _blend(
        self,
        outputs: Iterable[NDArray[Any]],
        shape: tuple[int, int],
        take: Callable[[int, NDArray[np.float32]], object],
    ) -> None:
        blend = Blend(Grid(self.tile, shape, self.size), self.tile, self.upsample, take)
        for output in outputs:
            blend.add(output)

    # ------------------------------------------------------------------------------------ learning and files

    def learned_from(self, planes: Callable[[], Iterable[Image]]) -> SegmentationTask:
        """The task with the figures of a calibration set written into it; itself where it needs none.

        Args:
            planes: gives every plane of the set each time it is called (twice at most).
        """
        if self.frozen or self.intensity is None:
            return self
        return replace(self, intensity=replace(self.intensity, learned=self.statistics(planes)))

    def statistics(self, planes: Callable[[], Iterable[Image]]) -> Statistics:
        """What a volume or a set says of itself, for ``scope = "volume"`` or ``"set"``; one plane is held at a time."""
        intensity = self.intensity or Intensity()

        def values() -> Iterator[NDArray[Any]]:
            for image in planes():
                plane = as_plane(image)
                require_spoken_of(plane, self)
                yield _channels.take(plane.values, self.channels)

        return learn(values, intensity, self.normalize, self.colours)

    def to_table(self) -> dict[str, Any]:
        """Plain values, as in ``task.toml`` and in reports."""
        return write_table(self)

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
        try:
            return cls(**read_table(table))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{where}: the task has a value of the wrong kind ({error}); correct it") from None

    # ---------------------------------------------------------------------------------------------- arithmetic

    def _statistics(self, plane: Plane, values: NDArray[Any], intensity: Intensity) -> Statistics:
        if not takes_figures(intensity, self.normalize):
            return Statistics()
        if intensity.scope == "set":
            if intensity.learned is None:
                raise InputError(
                    f"{plane.where}: the task's intensity is learned from a set, and no calibration has done so yet; "
                    "use an engine or a task that a deployment wrote"
                )
            return intensity.learned
        if intensity.scope == "volume" and plane.statistics is not None:
            return plane.statistics
        if intensity.scope == "volume" and plane.volume:
            raise InputError(f"{plane.where}: the task takes its intensity from whole volumes; give the whole volume")
        return figures(values, intensity, self.normalize, self.colours)
