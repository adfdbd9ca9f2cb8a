"""The function that NNCF's accuracy control asks for, by our own yardstick, and a record of how often it asks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVALUATIONS = "evaluations.jsonl"
# Accuracy control evaluates many times; a couple of dozen images keep it within the time limit.
VALIDATION_IMAGES = 24

Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]
Validate = Callable[[Any, Iterable[Sample]], tuple[float, list[float]]]


@dataclass(frozen=True)
class Evaluation:
    """One call of the validation function.

    Attributes:
        images: it was given so many,
        of: out of so many.
        seconds: since the worker made the function.
    """

    images: int
    of: int
    seconds: float


def validation(source: Path, data: Path, log: Path) -> tuple[Validate, list[Sample]]:
    """Mean Dice over some val images, as ``(function, samples)`` in the form NNCF wants.

    The function returns each image's Dice too: without it NNCF asks once more for every image.

    Args:
        source: the graph, which knows its task.
        data: image set.
        log: one line for each call, written at once, so that a run that was cut short says how far it came.
    """
    from edge.accuracy import scores
    from edge.accuracy.counts import count, stack
    from edge.graph.model import read_model
    from edge.images.image_set import load_image_set

    task = read_model(source).task
    chosen = load_image_set(data).split("val").spread(VALIDATION_IMAGES)
    pairs = (sample.pair(task) for sample in chosen)
    samples = [(task.preprocess(pixels)[None], truth) for pixels, truth in pairs]
    log.write_text("", encoding="utf-8")
    start = time.monotonic()

    def validate(compiled: Any, given: Iterable[Sample]) -> tuple[float, list[float]]:
        counts = []
        for batch, truth in given:
            output = compiled(batch)[0][0]
            counts.append(count(task.labels(output, (truth.shape[0], truth.shape[1])), truth, task))
        with log.open("a", encoding="utf-8") as lines:
            row = Evaluation(len(counts), len(samples), round(time.monotonic() - start, 3))
            lines.write(json.dumps(asdict(row)) + "\n")
        dice = scores.dice(stack(counts))
        return scores.mean(dice), [float(value) for value in scores.per_image(dice)]

    return validate, samples


def read_evaluations(log: Path) -> list[Evaluation]:
    """What was asked so far; empty where nothing was."""
    if not log.is_file():
        return []
    return [Evaluation(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def full_evaluations(asked: Iterable[Evaluation]) -> float:
    """How many passes over all validation images the calls come to; ranking asks image by image."""
    return sum(row.images / row.of for row in asked)
