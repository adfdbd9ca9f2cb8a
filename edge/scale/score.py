"""A large image set scored on the workers of a Dask scheduler: masks are made and counted there, counts come back.

What comes back of an image is a few numbers, whatever its size, so memory here does not grow with the images. Images
are counted one by one and sums are taken in their order, so every figure is that of one process, to the digit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.compare import agreed_counts
from edge.accuracy.counts import Counts, stack
from edge.accuracy.distance import Surfaces, surfaces
from edge.accuracy.evaluate import Evaluation, Known, evaluate
from edge.accuracy.sqnr import Noise, logit_clip
from edge.accuracy.volumes import Slice, VolumeSurfaces
from edge.backends import find_backend
from edge.backends.engine import Engine, read_engine
from edge.backends.onnxruntime import reference
from edge.errors import MachineError
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.pipeline.check import Advance
from edge.scale.cluster import connected, each
from edge.task.task import SegmentationTask

Array = NDArray[np.float32]

CHUNK = 64
"""Images of a task; a volume is never divided."""


@dataclass(frozen=True)
class Chunk:
    """Some images, one after the other in their set.

    Attributes:
        index: of the chunk.
        images: to score.
        whole: names of those whose reference outputs are wanted.
    """

    index: int
    images: ImageSet
    whole: frozenset[str]


@dataclass(frozen=True)
class Networks:
    """What images are scored by.

    Attributes:
        model: the float reference.
        engines: folders, which the workers see.
    """

    model: Model
    engines: tuple[Path, ...]


@dataclass(frozen=True)
class Part:
    """What one network made of a chunk.

    Attributes:
        counts: against the truth.
        pixels, millimetres: distances of outlines; None without SciPy, or where a spacing is not known.
        volumes: distances in three dimensions.
        agreed: counts against the reference's masks; None for the reference.
        terms: of :class:`~edge.accuracy.sqnr.Noise`; empty for the reference.
    """

    counts: Counts
    pixels: Surfaces | None
    millimetres: Surfaces | None
    volumes: Mapping[str, VolumeSurfaces]
    agreed: Counts | None
    terms: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scored:
    """What came of a chunk.

    Attributes:
        parts: of the reference, then of each engine.
        columns, spacings, slices: see :class:`~edge.accuracy.evaluate.Evaluation`.
        outputs: of the reference: ``[maps, height, width]`` of the images that were asked for, ``[2]`` of the others:
            the smallest and the largest value, NaN where some are not finite.
    """

    parts: tuple[Part, ...]
    spacings: tuple[tuple[float, float] | None, ...]
    slices: tuple[Slice | None, ...]
    outputs: tuple[Array, ...]


def score_on(
    scheduler: str,
    model: Model,
    engines: Sequence[Engine],
    images: ImageSet,
    whole: Collection[str],
    advance: Advance,
) -> tuple[Evaluation, list[Evaluation]]:
    """The float model and engines on images, by the workers of a scheduler.

    Args:
        scheduler: its address.
        model, engines, images, whole, advance: see :class:`edge.pipeline.check.Elsewhere`.

    Raises:
        InputError: as :func:`~edge.accuracy.evaluate.evaluate`.
        MachineError: nobody answers at the address, or a worker ended.
    """
    networks = Networks(replace(model, author=None), tuple(engine.folder.resolve() for engine in engines))
    found: dict[int, Scored] = {}
    with connected(scheduler) as client:
        for chunk, scored in each(client, score, chunks(images, frozenset(whole)), networks):
            if isinstance(scored, MachineError):
                raise scored
            found[chunk.index] = scored
            advance(len(chunk.images))
    in_order = [found[index] for index in range(len(found))]
    tasks = [model.task, *(engine.task for engine in engines)]
    first, *others = (_merged(images, task, in_order, index) for index, task in enumerate(tasks))
    return first, others


def chunks(images: ImageSet, whole: frozenset[str]) -> Iterator[Chunk]:
    """The images in their order, some :data:`CHUNK` at a time."""
    held: list[Any] = []
    index = 0
    for sample in images:
        if len(held) >= CHUNK and not (sample.volume and sample.volume == held[-1].volume):
            yield _chunk(index, images, held, whole)
            held, index = [], index + 1
        held.append(sample)
    yield _chunk(index, images, held, whole)


def _chunk(index: int, images: ImageSet, samples: Sequence[Any], whole: frozenset[str]) -> Chunk:
    names = whole & {sample.name for sample in samples}
    return Chunk(index, ImageSet(images.name, images.root, tuple(samples)), names)


def score(chunk: Chunk, networks: Networks) -> Scored:
    """One chunk, on a worker: every network over its images."""
    model, images = networks.model, chunk.images
    theirs = evaluate(reference(model).run, images, model.task)
    parts = [_part(theirs, None)]
    for folder in networks.engines:
        engine = read_engine(folder)
        with closing(find_backend(engine.backend).load(engine)) as runner:
            parts.append(_part(evaluate(runner.run, images, engine.task, None, theirs.outputs), theirs))
    outputs = tuple(
        output if name in chunk.whole else _extremes(output)
        for name, output in zip(theirs.names, theirs.outputs, strict=True)
    )
    return Scored(tuple(parts), theirs.spacings, theirs.slices, outputs)


def _part(found: Evaluation, theirs: Evaluation | None) -> Part:
    in_pixels = replace(found, spacings=()).surfaces
    known = in_pixels is not None and all(spacing is not None for spacing in found.spacings)
    return Part(
        found.counts,
        in_pixels,
        surfaces(found.labels, found.truth, found.task, found.spacings) if known else None,
        found.volumes,
        None if theirs is None else agreed_counts(found, theirs),
        () if found.noise is None else tuple(found.noise.terms),
    )


def _extremes(output: Array) -> Array:
    if not np.isfinite(output).all():
        return np.full(2, np.nan, np.float32)
    return np.array([output.min(), output.max()], np.float32)


def _merged(images: ImageSet, task: SegmentationTask, scored: Sequence[Scored], index: int) -> Evaluation:
    """What one network made of all images, as an evaluation that holds no mask."""
    parts = [one.parts[index] for one in scored]
    noise = Noise(logit_clip(task))
    noise.terms.extend(term for part in parts for term in part.terms)
    agreed = [part.agreed for part in parts if part.agreed is not None]
    keys = sorted({key for sample in images for key in sample.columns})
    return Evaluation(
        task,
        tuple(sample.name for sample in images),
        stack(part.counts for part in parts),
        [] if index else [output for one in scored for output in one.outputs],
        (),
        (),
        {key: tuple(sample.columns.get(key) or "" for sample in images) for key in keys},
        tuple(spacing for one in scored for spacing in one.spacings),
        tuple(place for one in scored for place in one.slices),
        noise=noise if index else None,
        known=Known(_surfaces(parts), {k: v for part in parts for k, v in part.volumes.items()}, _all(agreed)),
    )


def _all(counts: Sequence[Counts]) -> Counts | None:
    return stack(counts) if counts else None


def _surfaces(parts: Sequence[Part]) -> Surfaces | None:
    """In millimetres where the spacing of every image of the set is known, as one process has it."""
    in_mm = [part.millimetres for part in parts if part.millimetres is not None]
    in_pixels = [part.pixels for part in parts if part.pixels is not None]
    chosen = in_mm if len(in_mm) == len(parts) else in_pixels
    if len(chosen) != len(parts):
        return None
    hd95, nsd = (np.concatenate([getattr(one, key) for one in chosen]) for key in ("hd95", "nsd"))
    return Surfaces(hd95, nsd, chosen[0].unit)
