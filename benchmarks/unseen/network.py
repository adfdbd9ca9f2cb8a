"""A network that the toolkit was not made for: U-Net with squeeze-and-excitation, hard-swish, transposed convolution.

Two maps, softmax over them. Shapes are written ``N x C x H x W``; ``H`` and ``W`` are multiples of 8 at four levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Channel gates from global averages (Hu et al., CVPR 2018; hard sigmoid as in MobileNetV3).

    ``N x c x H x W`` -> the same.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Block(nn.Sequential):
    """Two times convolution 3x3, batch norm, hard-swish; then the gates.  ``N x i x H x W`` -> ``N x o x H x W``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.Hardswish(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.Hardswish(),
            SqueezeExcite(out_channels),
        )


class GatedUNet(nn.Module):
    """``N x 3 x H x W`` -> logits ``N x classes x H x W``."""

    def __init__(self, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(Block(i, o) for i, o in zip([3, *widths[:-1]], widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, skip, 2, stride=2) for deep, skip in pairs)
        self.decoder = nn.ModuleList(Block(2 * skip, skip) for _, skip in pairs)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        skips = [self.encoder[0](image)]
        for block in list(self.encoder)[1:]:
            skips.append(block(self.pool(skips[-1])))
        x = skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


def build(classes: int, widths: Sequence[int]) -> nn.Module:
    """The network of ``model.toml``."""
    return GatedUNet(classes, widths)
