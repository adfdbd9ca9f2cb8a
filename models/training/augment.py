"""Augmentation on whole batches, on any device: one resampling for all geometry, then intensities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

BLUR_PROBABILITY = 0.2
BLUR_SIGMA = 0.8


@dataclass(frozen=True)
class Augmentation:
    """Strengths; see ``Recipe`` for their meaning.

    Attributes:
        zoom: largest scale jitter, as a factor either way.
        affine: probability of free rotation and scale jitter.
        colour: strength of intensity jitter, 0 for none.
        invert: probability of inverted intensities.
        low, high: range of the input values.
    """

    zoom: float
    affine: float
    colour: float
    invert: float
    low: float
    high: float

    def __call__(
        self, inputs: Tensor, masks: Tensor, side: tuple[int, int], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Cut, turn and recolour a batch.

        Args:
            inputs: ``N x C x H x W`` float32.
            masks: ``N x H x W`` uint8.
            side: height and width of the result.
            generator: CPU random state.

        Returns:
            ``N x C x h x w`` float32 and ``N x h x w`` uint8.
        """
        theta = self.transforms(len(inputs), (inputs.shape[2], inputs.shape[3]), side, generator)
        grid = functional.affine_grid(theta.to(inputs.device), [len(inputs), 1, *side], align_corners=False)
        cut = functional.grid_sample(inputs, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        labels = functional.grid_sample(
            masks[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
        )
        return self.recolour(cut, generator), labels[:, 0].to(torch.uint8)

    def transforms(
        self, count: int, size: tuple[int, int], side: tuple[int, int], generator: torch.Generator
    ) -> Tensor:
        """Random maps from output to input coordinates, both in [-1, 1].  ``count x 2 x 3`` float32.

        A flip and a quarter turn always apply; they and whole-pixel offsets leave pixel values exact.
        """
        uniform = _Uniform(count, generator)
        free = uniform(0.0, 1.0) < self.affine
        zoom = torch.where(free, torch.exp(uniform(-1.0, 1.0) * math.log(self.zoom)), torch.ones(count))
        angle = torch.where(free, uniform(-math.pi / 4, math.pi / 4), torch.zeros(count))
        # A quarter turn of a rectangle would leave the image, so only squares are turned.
        turns = 4 if size[0] == size[1] and side[0] == side[1] else 1
        quarter = uniform(0.0, turns).floor() * (4 // turns) * (math.pi / 2)
        flip = torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
        angle = angle + quarter
        share_y, share_x = side[0] / size[0], side[1] / size[1]
        cos, sin = (torch.round(f(angle) * 1e6) / 1e6 / zoom for f in (torch.cos, torch.sin))
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0], theta[:, 0, 1] = cos * flip * share_x, -sin * share_x
        theta[:, 1, 0], theta[:, 1, 1] = sin * flip * share_y, cos * share_y
        for axis, (length, part) in enumerate(((size[1], side[1]), (size[0], side[0]))):
            offset = (uniform(0.0, 1.0) * (length - part + 1)).floor().clamp(max=length - part)
            theta[:, axis, 2] = (2 * offset + part) / length - 1.0
        return theta

    def recolour(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Jitter intensities within the input range.  ``N x C x h x w`` float32 -> the same."""
        if self.colour == 0:
            return inputs
        count, channels = inputs.shape[:2]
        uniform = _Uniform(count, generator, inputs.device)
        span = self.high - self.low
        unit = ((inputs - self.low) / span).clamp(0.0, 1.0)
        gamma = torch.exp(uniform(-0.45, 0.45) * self.colour)
        unit = unit.clamp_min(1e-4) ** _each(gamma)
        mean = unit.mean(dim=(1, 2, 3), keepdim=True)
        contrast = torch.exp(uniform(-0.3, 0.3) * self.colour)
        unit = (unit - mean) * _each(contrast) + mean + _each(uniform(-0.1, 0.1) * self.colour)
        for channel in range(channels if channels > 1 else 0):
            unit[:, channel] *= (1.0 + uniform(-0.12, 0.12) * self.colour)[:, None, None]
        blurred = uniform(0.0, 1.0) < BLUR_PROBABILITY * self.colour
        unit = torch.where(_each(blurred), _blur(unit), unit)
        unit = torch.where(_each(uniform(0.0, 1.0) < self.invert), 1.0 - unit, unit)
        return unit.clamp(0.0, 1.0) * span + self.low


class _Uniform:
    """Draws one number per image from a CPU generator, so that every device sees the same ones."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device | None = None) -> None:
        self._count, self._generator, self._device = count, generator, device

    def __call__(self, low: float, high: float) -> Tensor:
        drawn = torch.rand(self._count, generator=self._generator) * (high - low) + low
        return drawn if self._device is None else drawn.to(self._device)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _blur(inputs: Tensor) -> Tensor:
    """Separable Gaussian of 5 taps.  ``N x C x h x w`` -> the same."""
    taps = torch.exp(-(torch.arange(-2.0, 3.0) ** 2) / (2 * BLUR_SIGMA**2)).to(inputs)
    taps = (taps / taps.sum()).expand(inputs.shape[1], 1, 1, 5)
    padded = functional.pad(inputs, (2, 2, 2, 2), mode="reflect")
    rows = functional.conv2d(padded, taps, groups=inputs.shape[1])
    return functional.conv2d(rows, taps.transpose(2, 3), groups=inputs.shape[1])
