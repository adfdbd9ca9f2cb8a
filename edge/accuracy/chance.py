"""The chance that an engine which passes on some images also passes on others of their kind.

A plan is chosen on the search images and judged on the test images, so a pass by a hair is a throw of a coin. The means
(Dice, IoU, agreement) are resampled by image, or by group where images belong together, and the share of resampled sets
that meet every bar is counted. A resampled set holds no image worse than the worst one seen, so the worst drop has a
formula of its own: where the tail of drops falls with the square, as many new images exceed the bar ``(worst / bar)²``
times on average, and none of them with the chance ``exp(-(worst / bar)²)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.accuracy import scores
from edge.accuracy.bootstrap import units
from edge.accuracy.compare import agreements, find_group
from edge.accuracy.evaluate import Evaluation
from edge.accuracy.gate import Gate

Values = NDArray[np.float64]

RESAMPLES = 2000
SEED = 20_241


def chance_of_passing(engine: Evaluation, reference: Evaluation, gate: Gate, group: str | None = None) -> float:
    """From 0 to 1; the same for the same evaluations. Bars of strata and classes are left out.

    Args:
        engine, reference: evaluations of the same images in the same order.
        gate: its bars.
        group: manifest column whose images are resampled together; None looks for one.
    """
    dice, reference_dice = (scores.per_image(scores.dice(e.counts)) for e in (engine, reference))
    iou, reference_iou = (scores.per_image(scores.iou(e.counts)) for e in (engine, reference))
    bars = (
        (gate.dice_retained, dice, reference_dice),
        (gate.iou_retained, iou, reference_iou),
        (gate.agreement, agreements(engine, reference), np.ones_like(dice)),
    )
    asked = [(bar, ours, theirs) for bar, ours, theirs in bars if bar is not None]
    column = group or find_group([name for name, values in engine.columns.items() if any(values)], None)
    kept = _share_kept(asked, engine.columns[column] if column else None) if asked else 1.0
    return kept * _tail(float((reference_dice - dice).max()), gate.worst_drop)


def _share_kept(asked: list[tuple[float, Values, Values]], groups: tuple[str, ...] | None) -> float:
    """Share of resampled sets on which every mean meets its bar of the reference's."""
    rng = np.random.default_rng(SEED)
    number = len(units(asked[0][1], groups)[0])
    drawn = rng.integers(0, number, size=(RESAMPLES, number))
    holds = np.ones(RESAMPLES, bool)
    for bar, ours, theirs in asked:
        room = units(ours - bar * theirs, groups)[0]
        holds &= room[drawn].sum(axis=1) >= 0.0
    return float(holds.mean())


def _tail(worst: float, bar: float | None) -> float:
    """Chance that none of as many other images loses more than the bar."""
    if bar is None or worst <= 0.0:
        return 1.0
    return math.exp(-((worst / bar) ** 2)) if bar > 0.0 else 0.0
