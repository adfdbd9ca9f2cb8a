"""Scores of a network over a split, by the toolkit's own definitions, in float32."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.accuracy.evaluate import evaluate
from edge.accuracy.scores import SCORES, mean
from edge.images.image_set import ImageSet
from edge.task.task import SegmentationTask


def score(network: nn.Module, images: ImageSet, task: SegmentationTask, device: torch.device) -> dict[str, float]:
    """Mean Dice, IoU, recall and precision over images, then over foreground classes."""
    network.eval()

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    counts = evaluate(run, images, task).counts
    return {name: mean(scores(counts)) for name, scores in SCORES.items()}
