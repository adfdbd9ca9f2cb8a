"""LightAWNet (Wang et al., JACMP 2024): two cross-gated branches built on dynamic convolutions.

Shapes are written ``N x C x H x W``; the input's ``H`` and ``W`` are multiples of 16.  All tensors are
floating point.  Names follow the paper: DynConv (conditionally parameterised convolution), EB (encoder
block), DB (decoder block), SA (self-attention); semantic branch a, detail branch b.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Form = Literal["aggregated", "mixed"]

KERNELS = 4  # kernels mixed by a dynamic convolution
EXPANSION = 4  # of the encoder blocks
SLOPE = 0.01


class DynConv(nn.Module):
    """3x3 convolution whose kernel is a weighted sum of four, weighted for each image.

    ``N x i x H x W`` -> ``N x o x H x W``.  The two forms are exactly equal and share weights:

    - ``aggregated`` sums the kernels first: one convolution, but with computed weights, and the batch is
      folded into groups, so an exported graph has a fixed batch;
    - ``mixed`` runs all four and sums the maps: four times the work, constant weights, any batch.
    """

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        if form not in ("aggregated", "mixed"):
            raise ValueError(f"form = {form!r} is neither aggregated nor mixed")
        self.form = form
        self.route = nn.Conv2d(in_channels, KERNELS, 1)
        # Scaled for unit variance of the sum; the norm that follows makes the scale immaterial.
        scale = (2.0 / (9 * in_channels)) ** 0.5 / 2.0
        # The four kernels, stacked along the output channels: 4o x i x 3 x 3.
        self.weight = nn.Parameter(torch.randn(KERNELS * out_channels, in_channels, 3, 3) * scale)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        mixture = self.route(x.mean(dim=(2, 3), keepdim=True)).sigmoid().flatten(1)  # N x 4
        convolved = self._aggregated(x, mixture) if self.form == "aggregated" else self._mixed(x, mixture)
        return self.norm(convolved)

    def _aggregated(self, x: Tensor, mixture: Tensor) -> Tensor:
        """``N x i x H x W`` and ``N x 4`` -> ``N x o x H x W``, one grouped convolution."""
        batch, channels, height, width = x.shape
        out_channels = self.norm.num_features
        kernels = (mixture @ self.weight.reshape(KERNELS, -1)).reshape(batch * out_channels, channels, 3, 3)
        folded = x.reshape(1, batch * channels, height, width)
        convolved = functional.conv2d(folded, kernels, padding=1, groups=batch)
        return convolved.reshape(batch, out_channels, height, width)

    def _mixed(self, x: Tensor, mixture: Tensor) -> Tensor:
        """``N x i x H x W`` and ``N x 4`` -> ``N x o x H x W``, four convolutions at once."""
        maps = functional.conv2d(x, self.weight, padding=1)
        split = maps.reshape(-1, KERNELS, self.norm.num_features, x.shape[2], x.shape[3])
        return (split * mixture[:, :, None, None, None]).sum(dim=1)


class EncoderBlock(nn.Module):
    """EB: inverted bottleneck with a spatial gate, then a dynamic convolution.

    ``N x i x H x W`` -> ``N x o x H x W``.
    """

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        hidden = EXPANSION * in_channels
        self.expand = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels),
            nn.Conv2d(in_channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.LeakyReLU(SLOPE),
        )
        self.gate = nn.Conv2d(hidden, 1, 1)
        self.project = nn.Conv2d(2 * hidden, in_channels, 1)
        self.out = DynConv(in_channels, out_channels, form)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.expand(x)
        gated = wide * self.gate(wide).sigmoid()
        return self.out(self.project(torch.cat([wide, gated], dim=1)) + x)


class SelfAttention(nn.Module):
    """SA: single-head attention over all positions, unscaled scores.  ``N x c x H x W`` -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x).flatten(2).transpose(1, 2) @ self.key(x).flatten(2)  # N x HW x HW
        mixed = self.value(x).flatten(2) @ scores.softmax(dim=-1).transpose(1, 2)
        return self.gamma * mixed.reshape(-1, x.shape[1], x.shape[2], x.shape[3]) + x


class DecoderBlock(nn.Module):
    """DB: halve the channels, upsample, gate the channels, add the skip, dynamic convolution.

    deep ``N x i x H x W``, skip ``N x i/2 x 2H x 2W`` -> ``N x i/2 x 2H x 2W``.
    """

    def __init__(self, in_channels: int, form: Form) -> None:
        super().__init__()
        out_channels = in_channels // 2
        self.up = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(SLOPE),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )
        self.gate = nn.Sequential(
            nn.Linear(out_channels, out_channels // 8, bias=False),
            nn.ReLU(),
            nn.Linear(out_channels // 8, out_channels, bias=False),
            nn.Sigmoid(),
        )
        self.out = DynConv(out_channels, out_channels, form)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = self.up(deep)
        return self.out(up * self.gate(up.mean(dim=(2, 3)))[:, :, None, None] + skip)


def resize_like(x: Tensor, like: Tensor) -> Tensor:
    """R: bilinear resize with aligned corners to the size of ``like``."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class LightAWNet(nn.Module):
    """LightAWNet.  ``N x in_channels x H x W`` -> logits ``N x classes x H x W``; the paper has one class."""

    def __init__(self, in_channels: int, classes: int, form: Form) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.encode1 = EncoderBlock(in_channels, 16, form)
        self.encode2 = EncoderBlock(16, 32, form)
        self.encode3 = EncoderBlock(32, 64, form)
        self.semantic4 = EncoderBlock(64, 128, form)
        self.semantic5 = EncoderBlock(128, 256, form)
        self.detail4 = nn.Conv2d(64, 128, 1)
        self.detail5 = nn.Conv2d(128, 256, 1)
        self.attention = SelfAttention(256)
        self.reduce = nn.Conv2d(256, 128, 1)
        self.decode1 = DecoderBlock(256, form)
        self.decode2 = DecoderBlock(128, form)
        self.decode3 = DecoderBlock(64, form)
        self.decode4 = DecoderBlock(32, form)
        self.head = DynConv(16, classes, form)

    def forward(self, image: Tensor) -> Tensor:
        x1 = self.encode1(image)
        x2 = self.encode2(self.pool(x1))
        x3 = self.encode3(self.pool(x2))
        deep, detail = self._cross_gated(self.pool(x3))
        d1 = self.decode1(deep, detail)
        d2 = self.decode2(d1, x3)
        d3 = self.decode3(d2, x2)
        return self.head(self.decode4(d3, x1))

    def _cross_gated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Semantic and detail branch, each gated by the other, twice.

        ``N x 64 x H x W`` -> ``N x 256 x H/2 x W/2`` and ``N x 128 x H x W``.
        """
        a4, b4 = self.semantic4(x), self.detail4(x)
        a4_pooled = self.pool(a4)
        a5 = self.semantic5(a4_pooled * resize_like(b4, a4_pooled).sigmoid())
        b5 = self.detail5(a4.sigmoid() * b4)
        deep = self.attention(a5 * resize_like(b5, a5).sigmoid())
        return deep, self.reduce(b5 * resize_like(a5, b5).sigmoid())


def build(in_channels: int = 1, form: Form = "aggregated", classes: int = 1) -> nn.Module:
    """Make an untrained LightAWNet of ``classes`` maps; ``form`` is how its dynamic convolutions are computed."""
    return LightAWNet(in_channels, classes, form)
