"""SeRP, LiteNeXt's self-embedding representation parallel: a training-only add-on, off by default.

The article's equations were not available; this is a reading of its figures (student and averaged teacher
encoders, BYOL-like projectors, cosine distance).  The network needs ``encode(image) -> levels``.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import InputError

HIDDEN = 1024
DECAY = 0.99
WEIGHT = 0.1


class SelfEmbedding(nn.Module):
    """Cosine distance between the student's embedding and an averaged teacher's of a weaker view."""

    def __init__(self, network: nn.Module, probe: Tensor) -> None:
        """Make projectors as wide as the deepest level of ``network.encode(probe)``."""
        super().__init__()
        if not hasattr(network, "encode"):
            raise InputError(f"{type(network).__name__} has no encode(); train it without serp")
        with torch.no_grad():
            width = network.encode(probe)[-1].shape[1]
        self.student = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, width))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.encoder = copy.deepcopy(network).requires_grad_(False)

    def forward(self, network: nn.Module, strong: Tensor, weak: Tensor) -> Tensor:
        """Both views ``N x C x H x W`` of the same images -> scalar, already weighted."""
        embedded = self.student(_pool(network.encode(strong)[-1]))  # type: ignore[operator]
        with torch.no_grad():
            target = self.teacher(_pool(self.encoder.encode(weak)[-1]))  # type: ignore[operator]
        return WEIGHT * (1.0 - functional.cosine_similarity(embedded, target, dim=1)).mean()

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the teacher towards the student; call once a step."""
        pairs = zip(
            [*self.encoder.parameters(), *self.teacher.parameters()],
            [*network.parameters(), *self.student.parameters()],
            strict=True,
        )
        for average, value in pairs:
            average.lerp_(value, 1.0 - DECAY)


def _pool(level: Tensor) -> Tensor:
    """Average plus maximum over the map.  ``N x C x H x W`` -> ``N x C``."""
    return level.mean(dim=(2, 3)) + level.amax(dim=(2, 3))
