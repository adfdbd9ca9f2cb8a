"""Is the float reference worth keeping? Judged before any engine: what retains a useless network proves nothing.

A reference must be finite on every image, return the same for the same image, find foreground where there is some, and
beat the masks that need no network at all: all background, or all of one class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.counts import Counts
from edge.accuracy.evaluate import Evaluation
from edge.accuracy.scores import dice, mean
from edge.errors import InputError, UselessReferenceError
from edge.images.image_set import ImageSet
from edge.task.task import SegmentationTask

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_TWICE = 2  # images that are run once more
_SAME = 1e-6  # of the largest value; threads may add up in another order
_SHOWN = 5
_UNIT = 1e-3  # how far a probability may lie outside [0, 1]
_PERCENT, _LEVELS = 100, 255  # what probabilities are multiplied by
_ALIKE = 0.5  # Dice of masks that mean the same


@dataclass(frozen=True)
class Fault:
    """What is wrong with a reference.

    Attributes:
        message: a sentence with the next step.
        unsound: it has no usable numbers at all, rather than only useless masks.
    """

    message: str
    unsound: bool


def require_useful(reference: Evaluation, images: ImageSet, run: Run, where: str, masks_matter: bool = True) -> None:
    """Refuse a useless reference; see :func:`faults`.

    Args:
        masks_matter: False asks for sound numbers only, where no gate will compare masks.

    Raises:
        UselessReferenceError: the first fault.
    """
    for fault in faults(reference, images, run, where):
        if fault.unsound or masks_matter:
            raise UselessReferenceError(fault.message)


def faults(reference: Evaluation, images: ImageSet, run: Run, where: str) -> Iterator[Fault]:
    """What is wrong with the reference, the worst first.

    Args:
        reference: of the float model on ``images``.
        images: what it was evaluated on.
        run: the float model again, for the same answer twice.
        where: the model, for messages.

    Raises:
        InputError: the task says that the graph returns probabilities, and it does not.
    """
    yield from _not_finite(reference, where)
    _require_probabilities(reference, where)
    yield from _not_repeatable(reference, images, run, where)
    yield from _finds_nothing(reference, where)
    yield from _no_better_than_trivial(reference, where)


def _not_finite(reference: Evaluation, where: str) -> Iterator[Fault]:
    bad = [name for name, out in zip(reference.names, reference.outputs, strict=True) if not np.isfinite(out).all()]
    if bad:
        shown = ", ".join(bad[:_SHOWN]) + (f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")
        yield Fault(
            f"{where}: the float network itself returns NaN or infinity on {len(bad)} of {len(reference)} images "
            f"({shown}); look at these images and at the task's normalisation, or train again",
            True,
        )


def _require_probabilities(reference: Evaluation, where: str) -> None:
    if reference.task.output != "probabilities" or reference.task.activation == "none":
        return
    low, high = _extent(reference)
    if low < -_UNIT or high > 1 + _UNIT:
        scaled = low >= 0 and _PERCENT <= high <= _LEVELS
        remedy = (
            f"probabilities times {_LEVELS if high > _PERCENT else _PERCENT}? export the map in front of the scaling"
            if scaled
            else 'set output = "logits" in the task'
        )
        raise InputError(
            f'{where}: the task says output = "probabilities", but the network returned values from {low:.3g} to '
            f"{high:.3g}; {remedy}"
        )


def _not_repeatable(reference: Evaluation, images: ImageSet, run: Run, where: str) -> Iterator[Fault]:
    task = reference.task
    if task.fit == "tile":
        return
    for sample, first in islice(zip(images, reference.outputs, strict=True), _TWICE):
        again = run(task.preprocess(sample.plane(task))[None])[0]
        off = float(np.abs(again.astype(np.float64) - first).max())
        if off > _SAME * max(float(np.abs(first).max()), 1e-30):
            yield Fault(
                f"{where}: the float network returns other numbers for the same image ({sample.name}, off by "
                f"{off:.2g}); something in it is random: export it in evaluation mode",
                True,
            )
            return


def _finds_nothing(reference: Evaluation, where: str) -> Iterator[Fault]:
    counts = reference.counts
    there = int((counts.tp + counts.fn).any(axis=1).sum())
    if there and not (counts.tp + counts.fp).any():
        yield Fault(
            f"{where}: the float network finds nothing on any of the {len(reference)} images, {there} of which have "
            f"foreground, so nothing could be retained; {_advice(reference)}",
            False,
        )


def _no_better_than_trivial(reference: Evaluation, where: str) -> Iterator[Fault]:
    counts = reference.counts
    if not (counts.tp + counts.fn).any():
        return
    score = mean(dice(counts))
    best, title = _best_trivial(counts, reference.task)
    if score <= best:
        yield Fault(
            f"{where}: the float network's Dice of {score:.4f} is no better than that of masks which are {title} "
            f"({best:.4f}), so nothing could be retained; {_advice(reference)}",
            False,
        )


def _best_trivial(counts: Counts, task: SegmentationTask) -> tuple[float, str]:
    """Highest Dice of masks that need no network, and what they are."""
    return max((mean(dice(trivial)), title) for title, trivial in _trivial(counts, task))


def _trivial(counts: Counts, task: SegmentationTask) -> Iterable[tuple[str, Counts]]:
    """Counts of the masks that need no network, by what they are."""
    there, pixels = counts.tp + counts.fn, counts.tp + counts.fp + counts.fn + counts.tn
    nothing = np.zeros_like(there)
    yield "all background", Counts(nothing, nothing, there, pixels - there)
    for column, (_, name) in enumerate(task.foreground):
        only = np.arange(there.shape[1]) == column
        yield f"all {name}", Counts(*(_where(only, a, b) for a, b in (
            (there, nothing), (pixels - there, nothing), (nothing, there), (nothing, pixels - there)
        )))  # fmt: skip


def _where(only: NDArray[np.bool_], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    chosen: NDArray[np.int64] = np.where(only, a, b)
    return chosen


def _advice(reference: Evaluation) -> str:
    """What to look at first."""
    task, inverse = reference.task, _inverse_dice(reference)
    if inverse is not None:
        return (
            f"it finds the masks' background with a Dice of {inverse:.4f}, so the masks look inverted: swap their two "
            "values, or swap the classes in the task's mask_values"
        )
    if task.output == "logits" and (levels := _two_levels(reference)) is not None:
        low, high = levels
        return (
            f"its outputs are {low:g} and {high:g} alone, a mask that it decided itself: export the map in front of "
            "that decision, or class indices from 0"
        )
    if task.output == "logits" and task.maps == 1 and _extent(reference)[0] >= 0 and _extent(reference)[1] <= 1:
        return 'its outputs lie between 0 and 1: is the task\'s output = "probabilities" rather than "logits"?'
    return "check the weights, the task (channels, scale, mean, std, intensity, classes) and the masks"


def _two_levels(reference: Evaluation) -> tuple[float, float] | None:
    """The only two values that the network returned, the higher one above 1; None where there are others."""
    low, high = _extent(reference)
    two = high > 1 and all(((output == low) | (output == high)).all() for output in reference.outputs)
    return (low, high) if two and low < high else None


def _inverse_dice(reference: Evaluation) -> float | None:
    """Dice against the masks' background, where that is what the network finds; None where it is not."""
    counts, task = reference.counts, reference.task
    if len(task.foreground) != 1:
        return None
    swapped = Counts(counts.fp, counts.tp, counts.tn, counts.fn)
    score = mean(dice(swapped))
    return score if score > max(_ALIKE, _best_trivial(swapped, task)[0]) else None


def _extent(reference: Evaluation) -> tuple[float, float]:
    """The smallest and the largest value that the network returned."""
    extremes = [(float(output.min()), float(output.max())) for output in reference.outputs]
    return min(low for low, _ in extremes), max(high for _, high in extremes)
