"""U-Net, the field's baseline (Ronneberger et al., MICCAI 2015), in a small form with batch norm.

Shapes are written ``N x C x H x W``; ``H`` and ``W`` are multiples of 8 at the default four levels.
All tensors are floating point.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DoubleConv(nn.Sequential):
    """Two times convolution 3x3, batch norm, ReLU.  ``N x i x H x W`` -> ``N x o x H x W``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            # Batch norm follows, which would cancel a convolution bias.
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UpBlock(nn.Module):
    """Transposed convolution 2x2 stride 2, concatenation with the skip, double convolution.

    deep ``N x 2c x H x W``, skip ``N x c x 2H x 2W`` -> ``N x c x 2H x 2W``.
    """

    def __init__(self, deep_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(deep_channels, skip_channels, 2, stride=2)
        self.conv = DoubleConv(2 * skip_channels, skip_channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(deep)], dim=1))


class UNet(nn.Module):
    """U-Net.  ``N x in_channels x H x W`` -> logits ``N x out_channels x H x W``."""

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(DoubleConv(i, o) for i, o in zip(inputs, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.decoder = nn.ModuleList(UpBlock(deep, skip) for deep, skip in reversed(pairs))
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        skips = []
        for stage in list(self.encoder)[1:]:
            skips.append(x)
            x = stage(self.pool(x))
        for block in self.decoder:
            x = block(x, skips.pop())
        return self.head(x)


def build(in_channels: int = 3, classes: int = 1, widths: Sequence[int] = (16, 32, 64, 128)) -> nn.Module:
    """Make an untrained U-Net; ``widths`` holds the channels of each level, full resolution first."""
    return UNet(in_channels, classes, widths)
