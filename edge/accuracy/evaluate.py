"""Run an engine, or a model, over an image set and keep what scores and comparisons need, at the same memory for any
number of images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Container, Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..files import replaced_file
from .counts import Counts, count, stack
from .distance import surfaces
from .kept import KeptLabels, KeptOutputs, save_outputs
from .sqnr import Noise, logit_clip
from .volumes import Slice, volume_surfaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..images.image_set import ImageSet
    from ..task.plane import Plane
    from ..task.task import SegmentationTask
    from .counts import Labels
    from .distance import Surfaces
    from .volumes import VolumeSurfaces

    Array = NDArray[np.float32]
    Run = Callable[[Array], Array]


@dataclass(frozen=True)
class Known:
    """What was measured where the masks were, of an evaluation that does not hold them.

    Attributes:
        surfaces, volumes: see :class:`Evaluation`.
        agreed: the engine's masks counted against the reference's, ``[images, classes]``; None for the reference.
    """

    surfaces: Surfaces | None
    volumes: Mapping[str, VolumeSurfaces]
    agreed: Counts | None = None


@dataclass(frozen=True)
class Evaluation:
    """What one engine (or the reference) made of an image set, image by image.

    Attributes:
        task: pre- and post-processing that was used.
        names: image names.
        counts: ``[images, classes]`` at the images' own sizes.
        outputs: ``[images, maps, height, width]`` float32, as the graph returned them; of a tiled image, of the tile in
            its middle. Empty where they were compared at once, see ``sqnr_db``.
        labels, truth: at each image's own size: ``[h, w]`` uint8 class indices, or ``[classes, h, w]`` where labels
            overlap.
        columns: every further column of the manifest, one value per image ("" where a row has none).
        spacings: millimetres from row to row and from column to column, per image; None where its file does not say.
        slices: where each image lies in its volume; None for one of no volume, or of one whose spacing is not known.
        noise: against the outputs of a reference, where these were given to :func:`evaluate`; else None.
        outlines: whether anybody will ask for distances between outlines, which take longer than all other scores.
        known: where ``labels`` and ``truth`` are not here, what was made of them; else None.
        kept: image name to the output that :func:`evaluate` was asked to keep, ``[maps, height, width]``.
    """

    task: SegmentationTask
    names: tuple[str, ...]
    counts: Counts
    outputs: Array | Sequence[Array]
    labels: Sequence[Labels]
    truth: Sequence[Labels]
    columns: Mapping[str, tuple[str, ...]]
    spacings: tuple[tuple[float, float] | None, ...] = ()
    slices: tuple[Slice | None, ...] = field(default=(), repr=False)
    noise: Noise | None = field(default=None, repr=False)
    outlines: bool = True
    known: Known | None = field(default=None, repr=False)
    kept: Mapping[str, Array] = field(default_factory=dict, repr=False)

    @property
    def sqnr_db(self) -> float | None:
        """Against the outputs of a reference; None where these were not given to :func:`evaluate`."""
        return None if self.noise is None else self.noise.db

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def surfaces(self) -> Surfaces | None:
        """HD95 and surface Dice of every image and foreground class, in its own plane; kept.

        None where SciPy is not installed, as on most boards, and where nobody will ask.
        """
        if self.known is not None:
            return self.known.surfaces
        try:
            return surfaces(self.labels, self.truth, self.task, self.spacings) if self.outlines else None
        except ImportError:
            return None

    @cached_property
    def volumes(self) -> Mapping[str, VolumeSurfaces]:
        """HD95 and surface Dice of every volume whose spacing is known, in three dimensions; kept.

        Empty where SciPy is not installed, and where nobody will ask.
        """
        if self.known is not None:
            return self.known.volumes
        try:
            return volume_surfaces(self.labels, self.truth, self.task, self.slices) if self.outlines else {}
        except ImportError:
            return {}

    def save_outputs(self, path: Path) -> None:
        """Write ``names`` and ``outputs`` as a compressed ``.npz``."""
        with replaced_file(path) as sibling, sibling.open("wb") as stream:
            save_outputs(stream, self.names, self.outputs)


@dataclass(frozen=True)
class Shown:
    """One image, ready for the network.

    Attributes:
        name: of the image.
        where: its file, for messages.
        input: ``[channels, height, width]`` float32; of a tiled image, its middle tile.
        labels: from the network and what it made of ``input`` to a label map at the image's own size.
        truth: its mask; None takes what the network finds for the truth.
        spacing: millimetres from row to row and from column to column.
        place: where it lies in its volume.
    """

    name: str
    where: str
    input: Array
    labels: Callable[[Run, Array], Labels]
    truth: Labels | None
    spacing: tuple[float, float] | None = None
    place: Slice | None = None


def evaluate(
    run: Run,
    images: ImageSet,
    task: SegmentationTask,
    advance: Callable[[], object] | None = None,
    against: Array | Sequence[Array] | None = None,
    outlines: bool = True,
    keep: Container[str] = (),
) -> Evaluation:
    """Decode, preprocess, run (batch 1), postprocess and count every image, one at a time.

    Args:
        run: ``[1, channels, height, width]`` float32 to ``[1, maps, height, width]`` float32.
        images: with masks.
        task: owns pre- and post-processing.
        advance: called after each image (progress).
        against: a reference's outputs for the same images, to be compared with at once; None keeps the outputs.
        outlines: see :class:`Evaluation`.
        keep: names of images whose outputs stay in memory, whatever they are compared with.

    Raises:
        InputError: an image or mask that does not decode or fit, or an output of another shape than the task's, or
            than the reference's.
        MachineError: no room on the disk for the outputs.
    """
    if not len(images):
        raise InputError(f"{images.root}: no images to score; add some to this split")

    def shown() -> Iterator[Shown]:
        for sample in images:
            plane, truth = sample.pair(task)
            yield shown_plane(plane, truth, task, sample.name, str(sample.image))

    found = evaluate_shown(run, shown(), task, _columns(images), advance, against, keep)
    return found if outlines else replace(found, outlines=False)


def shown_plane(plane: Plane, truth: Labels | None, task: SegmentationTask, name: str, where: str) -> Shown:
    """An image at its own size, placed by the task."""

    def labels(run: Run, output: Array) -> Labels:
        return task.segment(run, plane) if task.fit == "tile" else task.labels(output, plane.shape)

    return Shown(name, where, task.preprocess(plane), labels, truth, plane.spacing, _slice(plane))


def evaluate_shown(
    run: Run,
    images: Iterable[Shown],
    task: SegmentationTask,
    columns: Mapping[str, tuple[str, ...]],
    advance: Callable[[], object] | None = None,
    against: Array | Sequence[Array] | None = None,
    keep: Container[str] = (),
) -> Evaluation:
    """Run and score images one at a time.

    Args:
        images: at least one.
        columns: column of the manifest to one value per image.
        run, task, advance, against, keep: as for :func:`evaluate`.

    Raises:
        InputError, MachineError: as :func:`evaluate`.
    """
    outputs, labels, truths, noise = KeptOutputs(), KeptLabels(), KeptLabels(), Noise(logit_clip(task))
    names: list[str] = []
    kept: dict[str, Array] = {}
    counts: list[Counts] = []
    places: list[tuple[tuple[float, float] | None, Slice | None]] = []
    for index, image in enumerate(images):
        output = run(image.input[None])
        if output.ndim != 4 or output.shape[:2] != (1, task.maps):
            shape = "x".join(map(str, output.shape))
            raise InputError(
                f"{image.where}: the network returned {shape} for a task of {task.maps} classes; correct the task"
            )
        if against is None:
            outputs.append(output[0])
        else:
            require_same_shape(output[0].shape, against[index].shape)
            noise.add(against[index], output[0])
        if image.name in keep:
            kept[image.name] = output[0]
        found = image.labels(run, output[0])
        truth = found if image.truth is None else image.truth
        names.append(image.name)
        labels.append(found)
        truths.append(truth)
        places.append((image.spacing, image.place))
        counts.append(count(found, truth, task))
        if advance is not None:
            advance()
    return Evaluation(
        task,
        tuple(names),
        stack(counts),
        outputs,
        labels,
        truths,
        columns,
        tuple(spacing for spacing, _ in places),
        tuple(place for _, place in places),
        None if against is None else noise,
        kept=kept,
    )


def require_same_shape(ours: tuple[int, ...], reference: tuple[int, ...]) -> None:
    """Refuse to compare an engine with another network.

    Raises:
        InputError: says both shapes.
    """
    if tuple(ours) != tuple(reference):
        raise InputError(
            f"the engine returns maps of shape {tuple(ours)}, its reference {tuple(reference)}; "
            "compare an engine with the model it was made from"
        )


def _slice(plane: Plane) -> Slice | None:
    if not plane.volume or plane.spacing is None or plane.thickness is None:
        return None
    return Slice(plane.volume, plane.index, (plane.thickness, *plane.spacing))


def evaluation_of(
    outputs: Array | Sequence[Array],
    truth: Sequence[Labels],
    task: SegmentationTask,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    labels: Sequence[Labels] | None = None,
) -> Evaluation:
    """The evaluation of outputs that are already there.

    Args:
        outputs: ``[images, maps, height, width]``.
        truth: ``[h, w]`` uint8 class indices at each image's own size.
        task: decides what the outputs mean.
        names: of the images.
        columns: column of the manifest to one value per image.
        labels: at each image's own size; None decides them from the outputs, which is not to be had of tiles.
    """
    if labels is None:
        labels = tuple(task.labels(output, (t.shape[-2], t.shape[-1])) for output, t in zip(outputs, truth))
    counts = stack(count(ours, t, task) for ours, t in zip(labels, truth))
    values = {name: tuple(column) for name, column in columns.items()}
    return Evaluation(task, tuple(names), counts, outputs, labels, tuple(truth), values)


def _columns(images: ImageSet) -> dict[str, tuple[str, ...]]:
    keys = {key for sample in images for key in sample.columns}
    return {key: tuple(sample.columns.get(key) or "" for sample in images) for key in sorted(keys)}
