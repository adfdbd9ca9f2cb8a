"""Exponential moving average of a network's state: short schedules validate and keep the average."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StateAverage:
    """Average of all floating-point parameters and buffers.

    Early on the decay is lower, ``(1 + t) / (10 + t)``, so that the random start is forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present state."""
        self._steps += 1
        keep = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for name, value in network.state_dict().items():
            average = self._state[name]
            if value.is_floating_point():
                average.lerp_(value, 1.0 - keep)
            else:
                average.copy_(value)

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The averaged state dict."""
        return self._state

    def to_checkpoint(self) -> dict[str, object]:
        """Everything needed to go on."""
        return {"steps": self._steps, "state": self._state}

    def load_checkpoint(self, checkpoint: Mapping[str, object]) -> None:
        """Go on from ``to_checkpoint``."""
        self._steps = int(checkpoint["steps"])  # type: ignore[call-overload]
        saved: Mapping[str, Tensor] = checkpoint["state"]  # type: ignore[assignment]
        for name, value in saved.items():
            self._state[name].copy_(value)
