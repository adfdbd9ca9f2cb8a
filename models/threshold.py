"""Choose a trained network's threshold on the val split.

    python models/threshold.py models/unet --data calibration/dsb2018

Prints mean val Dice for each threshold and the best one, to be written as ``threshold`` into the folder's ``[task]``.
Test images are never looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.accuracy import scores
from edge.accuracy.counts import count, stack
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.backends.onnxruntime import reference
from edge.images.image_set import load_image_set
from edge.loading import load_model

THRESHOLDS = tuple(round(0.30 + 0.05 * step, 2) for step in range(11))


def dice_at(evaluation: Evaluation, threshold: float) -> float:
    """Mean Dice if the task had this threshold."""
    task = replace(evaluation.task, threshold=threshold)
    pairs = zip(evaluation.outputs, evaluation.truth, strict=True)
    counts = [count(task.labels(output, (mask.shape[0], mask.shape[1])), mask, task) for output, mask in pairs]
    return scores.mean(scores.dice(stack(counts)))


def choose(evaluation: Evaluation, thresholds: Sequence[float] = THRESHOLDS) -> tuple[float, dict[float, float]]:
    """The best threshold (the nearest to 0.5 among equals) and the Dice of each."""
    table = {threshold: dice_at(evaluation, threshold) for threshold in thresholds}
    return max(table, key=lambda t: (round(table[t], 5), -abs(t - 0.5))), table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder, as edge deploy takes it")
    parser.add_argument("--data", type=Path, required=True, help="image set with a val split")
    arguments = parser.parse_args()
    images = load_image_set(arguments.data).split("val")
    model = load_model(arguments.model)
    best, table = choose(evaluate(reference(model).run, images, model.task))
    for threshold, dice in table.items():
        print(f"{threshold:.2f}  {dice:.4f}{'  <' if threshold == best else ''}")


if __name__ == "__main__":
    main()
