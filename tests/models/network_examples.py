"""Small inputs for any network."""

from __future__ import annotations

import torch
from torch import Tensor
from training.folder import TrainingFolder

SIDE = 64  # the smallest that five stride-2 stages and 2x2 patches take without resizing


def example(opened: TrainingFolder, batch: int, height: int = SIDE, width: int = SIDE) -> Tensor:
    """``batch x C x height x width`` in [0, 1], the same on every call."""
    generator = torch.Generator().manual_seed(batch)
    return torch.rand(batch, opened.folder.task.in_channels, height, width, generator=generator)
