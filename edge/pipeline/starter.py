"""A task to start from: what a network and its images say of themselves, every guess marked as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.errors import InputError
from edge.files import parse_toml
from edge.images.image_set import ImageSet, Sample
from edge.loading.facts import NetworkFacts
from edge.notebook.shown import Shown, Table
from edge.task.refusal import usual_range
from edge.task.task import SegmentationTask

GUESS = "GUESS"
_LOOKED_AT = 16
"""So many images, spread over the set, are opened."""
_USUAL_SIZE = (256, 256)
_STEP = 32
"""Sizes that are guessed are multiples of it: most networks halve five times."""
_CT_WINDOW = "{ center = 40, width = 400 }"
_COMMENT_AT = 34


@dataclass(frozen=True, repr=False)
class Starter(Shown):
    """A ``task.toml``.

    Attributes:
        text: of the file, a comment on every line that says where its value is from.
        task: the same, parsed.
        guesses: keys that nothing says, to be compared with the training.
    """

    text: str
    task: SegmentationTask
    guesses: tuple[str, ...]

    def __repr__(self) -> str:
        (height, width), guesses = self.task.size, ", ".join(self.guesses) or "nothing"
        classes = ", ".join(self.task.classes)
        return f"<Starter {width}x{height}, {classes}; guessed: {guesses}>"

    def _table(self) -> Table:
        return ("key", "value", "guessed"), [(k, v, k in self.guesses) for k, v in self.task.to_table().items()]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ImageFacts:
    """What some images of a set, and their masks, hold.

    Attributes:
        count: how many were opened.
        dtypes, channels: every one that occurs.
        low, high: least and largest value.
        shapes: heights and widths.
        volume: whether they are slices.
        levels: every value of the masks; empty where there are none.
        mask_maps: how many maps a mask has.
    """

    count: int = 0
    dtypes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 255.0
    shapes: tuple[tuple[int, int], ...] = ()
    volume: bool = False
    levels: tuple[int, ...] = ()
    mask_maps: int = 1

    @property
    def eight_bit(self) -> bool:
        """Whether all values are 8-bit levels, or no image was looked at."""
        return set(self.dtypes) <= {"uint8"}


@dataclass
class _Lines:
    """Lines of TOML, each with where its value is from."""

    lines: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)

    def add(self, key: str, value: str, source: str, guess: bool = False) -> None:
        comment = f"{GUESS}: {source}" if guess else source
        self.lines.append(f"{f'{key} = {value} ':<{_COMMENT_AT}}# {comment}")
        if guess:
            self.guesses.append(key)


def image_facts(images: ImageSet) -> ImageFacts:
    """Open a few images of a set, and their masks.

    Raises:
        InputError: one that does not decode.
    """
    planes, levels, maps = [], set[int](), 1
    for sample in images.spread(_LOOKED_AT):
        planes.append(sample.plane(None))
        if isinstance(sample, Sample) and sample.mask is not None:
            found, count = sample.case.mask_levels(sample.index)
            levels |= found
            maps = max(maps, count)
    return ImageFacts(
        len(planes),
        tuple(sorted({plane.values.dtype.name for plane in planes})),
        tuple(sorted({plane.channels for plane in planes})),
        min(float(plane.values.min()) for plane in planes),
        max(float(plane.values.max()) for plane in planes),
        tuple(plane.shape for plane in planes),
        any(plane.volume for plane in planes),
        tuple(sorted(levels)),
        maps,
    )


def starter(network: NetworkFacts, images: ImageFacts | None, source: str) -> Starter:
    """A task from what is known.

    Args:
        network: what the graph says.
        images: what the images say; None: there are none to look at.
        source: of the model, for the first line.
    """
    seen = images or ImageFacts()
    lines = _Lines()
    steps: tuple[Callable[[_Lines, NetworkFacts, ImageFacts], None], ...] = (
        _size, _channels, _fit, _scaling, _classes, _output, _masks, _intensity,
    )  # fmt: skip
    for step in steps:
        step(lines, network, seen)
    head = [
        f"# A task for {source}, to start from. Every line marked {GUESS} must be what the network was trained with:",
        "# a wrong one costs accuracy without a word. edge check MODEL --task task.toml --data SET shows the score.",
        "[task]",
    ]
    text = "\n".join([*head, *lines.lines]) + "\n"
    return Starter(text, _parsed(text), tuple(lines.guesses))


def _size(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    if network.size is not None:
        return lines.add("size", _list(network.size), "height, width of the network's input")
    if images.shapes:
        middle = [sorted(sides)[len(images.shapes) // 2] for sides in zip(*images.shapes, strict=True)]
        size = tuple(max(round(side / _STEP), 1) * _STEP for side in middle)
        return lines.add("size", _list(size), "the network takes any; about the middle of the images' sizes", True)
    return lines.add("size", _list(_USUAL_SIZE), "the network takes any size; give that of its training", True)


def _channels(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    count = network.channels or (images.channels[-1] if images.channels else 3)
    said = f"the network takes {count}" if network.channels else f"the images have {count}"
    if count == 1:
        return lines.add("channels", '"grey"', said)
    if count == 3 and images.volume and images.channels == (1,):
        return lines.add("channels", '["z-1", "z", "z+1"]', f"{said}, the volumes have 1: neighbouring slices?", True)
    if count == 3:
        return lines.add("channels", '"rgb"', f'{said}; "bgr" where OpenCV read the images of the training', True)
    names = [f"c{index}" for index in range(count)]
    return lines.add("channels", json.dumps(names), f"{said}; name them in the network's order", True)


def _fit(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    shapes = images.shapes
    sizes = ""
    if shapes:
        least, most = min(shapes), max(shapes)
        sizes = f"images are {least[0]}x{least[1]} to {most[0]}x{most[1]}: "
    lines.add("fit", '"stretch"', f"{sizes}stretch, letterbox (keeps the aspect), crop, or tile (full scale)", True)
    lines.add("resize", '"bilinear"', "bilinear, bicubic, area or nearest", True)


def _scaling(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    lines.add("normalize", '"fixed"', "fixed: (value / scale - mean) / std; minmax or zscore: of each image", True)
    if network.takes_pixels:
        lines.add("scale", "1.0", "the network takes pixels and scales them itself")
    elif images.eight_bit:
        lines.add("scale", "255.0", "levels 0...255 to [0, 1]", True)
    lines.add("mean", "[0.0]", "one, or one a channel; ImageNet: [0.485, 0.456, 0.406]", True)
    lines.add("std", "[1.0]", "likewise; ImageNet: [0.229, 0.224, 0.225]", True)


def _classes(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    maps = network.maps
    if _overlap(network, images):
        names = [f"class {index + 1}" for index in range(maps or images.mask_maps)]
        lines.add("classes", json.dumps(names), "the network returns a map for each; give them names", True)
        return lines.add("labels", '"overlapping"', f"the masks have {images.mask_maps} maps", maps is None)
    if maps == 1 and not network.decides:
        return lines.add("classes", '["foreground"]', "the network returns one map; give it a name")
    count = maps if maps and not network.decides else max(len(_class_levels(images)), 2)
    names = ["background", *(f"class {index}" for index in range(1, count))]
    said = f"the network returns {maps} maps" if maps and not network.decides else f"the masks have {count} values"
    return lines.add("classes", json.dumps(names), f"{said}; give them names, background first", True)


def _output(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    if network.decides:
        lines.add("output", '"labels"', "the network decides itself")
        lines.add("activation", '"none"', "so there is none")
    elif network.activation is not None:
        lines.add("output", '"probabilities"', f"the network ends in {network.activation}")
        lines.add("activation", f'"{network.activation}"', "as the network has it")
    else:
        several = network.maps != 1 and not _overlap(network, images)
        lines.add("output", '"logits"', "nothing in the network says otherwise", True)
        lines.add("activation", '"softmax"' if several else '"sigmoid"', "what training put after the network", True)
    if len(network.outputs) > 1:
        lines.add("output_name", json.dumps(network.outputs[0]), f"one of {', '.join(network.outputs)}", True)
    if not network.decides and (network.maps is None or network.maps <= 2 or _overlap(network, images)):
        lines.add("threshold", "0.5", "probability from which a pixel is foreground", True)


def _masks(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    levels = _class_levels(images)
    if images.mask_maps > 1 or len(images.levels) <= 2:
        return
    count = 2 if network.maps == 1 else network.maps or len(levels)
    if len(levels) > count and not network.decides:
        table = ", ".join(f"{level} = {min(index, count - 1)}" for index, level in enumerate(levels))
        said = f"the masks have {len(levels)} values, the network {count} classes: which value is which class"
        lines.add("mask_values", f"{{ {table} }}", said, True)
    elif 255 in images.levels and levels != images.levels:
        lines.add("ignore", "255", f"the masks have the values {_shown(images.levels)}", True)
    elif levels != tuple(range(len(levels))):
        table = ", ".join(f"{level} = {index}" for index, level in enumerate(levels))
        lines.add("mask_values", f"{{ {table} }}", "value in the mask files = class", True)


def _intensity(lines: _Lines, network: NetworkFacts, images: ImageFacts) -> None:
    if images.eight_bit:
        return None
    lines.lines += ["", "[task.intensity]"]
    held = f"the images hold {', '.join(images.dtypes)}, {images.low:g}...{images.high:g}"
    if images.low <= -500.0:
        return lines.add("window", _CT_WINDOW, f"{held}: CT?", True)
    low, high = images.low, images.high
    if not any(name.startswith("float") for name in images.dtypes):
        low, high = usual_range(low, high)
    return lines.add("range", f"[{low:g}, {high:g}]", f"{held}; percentile = [0.5, 99.5] for MR", True)


def _overlap(network: NetworkFacts, images: ImageFacts) -> bool:
    """Whether a pixel may be of several classes, as far as anything says so."""
    return images.mask_maps > 1 or (network.activation == "sigmoid" and (network.maps or 1) > 1)


def _class_levels(images: ImageFacts) -> tuple[int, ...]:
    """The values of the masks without a 255 that stands apart."""
    levels = images.levels
    apart = len(levels) > 2 and levels[-1] == 255 and levels[:-1] == tuple(range(len(levels) - 1))
    return levels[:-1] if apart else levels


def _list(values: Iterable[int]) -> str:
    return json.dumps(list(values))


def _shown(levels: Sequence[int]) -> str:
    return ", ".join(map(str, levels[:6])) + (", ..." if len(levels) > 6 else "")


def _parsed(text: str) -> SegmentationTask:
    return SegmentationTask.from_table(parse_toml(text, "edge init")["task"], "edge init")


def given(task: SegmentationTask, source: str) -> Starter:
    """The task that a model brings itself, as TOML."""
    lines = [f"# The task of {source}, as it says itself.", "[task]"]
    intensity = None
    for key, value in task.to_table().items():
        if key == "intensity":
            intensity = value
        else:
            lines.append(f"{key} = {_toml(value)}")
    if intensity is not None:
        lines += ["", "[task.intensity]", *(f"{key} = {_toml(value)}" for key, value in intensity.items())]
    text = "\n".join(lines) + "\n"
    if _parsed(text) != task:
        raise InputError(f"{source}: its task cannot be written as TOML; write it by hand")
    return Starter(text, task, ())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
