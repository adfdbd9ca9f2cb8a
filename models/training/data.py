"""A split of an image set in memory, ready to be cut into batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge.errors import InputError
from edge.images.image_set import ImageSet
from edge.task.task import SegmentationTask


@dataclass(frozen=True)
class TrainingImages:
    """The train split as the network sees it.

    Attributes:
        inputs: ``N x C x H x W`` float16, after the task's preprocessing.
        masks: ``N x H x W`` uint8 class indices at the task's size.
        groups: for every image the index of its value in the balanced column; all 0 without one.
    """

    inputs: Tensor
    masks: Tensor
    groups: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest input value."""
        return float(self.inputs.min()), float(self.inputs.max())

    def epoch_order(self, power: float, generator: torch.Generator) -> Tensor:
        """Indices of one epoch, ``N`` int64: a shuffle, or a draw that evens out the groups.

        A group of n images is drawn in proportion to ``n ** power``, and its images in turn.
        """
        counts = torch.bincount(self.groups).double()
        if len(counts) == 1 or power == 1.0:
            return torch.randperm(len(self), generator=generator)
        shares = counts.pow(power) / counts.pow(power).sum()
        picks = []
        for group, share in enumerate(shares.tolist()):
            members = torch.nonzero(self.groups == group).flatten()
            wanted = max(1, round(share * len(self)))
            rounds = -(-wanted // len(members))
            turns = [members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)]
            picks.append(torch.cat(turns)[:wanted])
        order = torch.cat(picks)
        return order[torch.randperm(len(order), generator=generator)]


def load_training_images(images: ImageSet, task: SegmentationTask, balance: str) -> TrainingImages:
    """Decode and preprocess a split once.

    Args:
        images: the train split.
        task: owns the preprocessing; of an image in tiles its middle tile is taken.
        balance: manifest column to balance, "" for none.

    Raises:
        InputError: overlapping labels, pixels to ignore, or a file at fault.
    """
    if task.overlapping or task.ignore is not None:
        raise InputError("training counts every pixel and knows exclusive labels only; leave out labels and ignore")
    inputs, masks, values = [], [], []
    for sample in images:
        plane, labels = sample.pair(task)
        inputs.append(task.preprocess(plane).astype(np.float16))
        masks.append(task.seen_labels(labels))
        values.append(sample.columns.get(balance, ""))
    names = sorted(set(values))
    groups = [names.index(value) for value in values]
    return TrainingImages(torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(masks)), torch.tensor(groups))
