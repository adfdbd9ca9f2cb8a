"""LiteNeXt (Tran et al., arXiv 2405.15779): a ConvMixer-style encoder and one late fusion head.

Shapes are written ``N x C x H x W``; the input's ``H`` and ``W`` are multiples of 16.  All tensors
are floating point.  Names follow the paper: LGE (local-global embedding) mixer, RB (residual
bottleneck), KV (value and key of one level), HF (head fusion).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 128  # channels of every level inside the fusion head
LEVELS = 4


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel.  ``N x C x H x W`` -> the same shape."""

    def forward(self, input: Tensor) -> Tensor:
        pixels = input.permute(0, 2, 3, 1)
        normed = functional.layer_norm(pixels, self.normalized_shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


class ConvNormGelu(nn.Sequential):
    """Convolution with bias, channel layer norm, exact GELU.

    ``N x i x H x W`` -> ``N x o x H x W`` (``H/stride``, ``W/stride`` with a strided patch kernel).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        same = kernel // 2 if padding is None else padding
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, same, groups=groups),
            ChannelLayerNorm(out_channels),
            nn.GELU(),
        )


class LGEMixer(nn.Module):
    """Local 3x3, far depth-wise kxk, point-wise mixing of both and the input.

    ``N x c x H x W`` -> the same shape.
    """

    def __init__(self, channels: int, far_kernel: int) -> None:
        super().__init__()
        self.local = ConvNormGelu(channels, channels, 3)
        self.far = ConvNormGelu(channels, channels, far_kernel, groups=channels)
        self.point = ConvNormGelu(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        local = self.local(x)
        return self.point(self.far(local) + local + x)


class Down(nn.Sequential):
    """2x2 max pooling, then 1x1 convolution.  ``N x i x H x W`` -> ``N x o x H/2 x W/2``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.MaxPool2d(2), ConvNormGelu(in_channels, out_channels, 1))


class ResidualBottleneck(nn.Module):
    """RB: two 3x3 blocks with a residual.  ``N x c x H x W`` -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNormGelu(channels, channels, 3), ConvNormGelu(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Projection(nn.Sequential):
    """1x1 block at low resolution, then bilinear upsampling.

    ``N x i x H x W`` -> ``N x o x sH x sW``.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        super().__init__(
            ConvNormGelu(in_channels, out_channels, 1),
            nn.Identity() if scale == 1 else nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=False),
        )


class KeyVector(nn.Sequential):
    """Two 1x1 layers on the pooled map.  ``N x i x H x W`` -> ``N x o``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 1),
            nn.GELU(),
            nn.Conv2d(in_channels, out_channels, 1),
        )

    def forward(self, input: Tensor) -> Tensor:
        average = input.mean(dim=(2, 3), keepdim=True)
        maximum = input.amax(dim=(2, 3), keepdim=True)
        return super().forward(average + maximum).flatten(1)


class KeyValue(nn.Module):
    """KV: value map and key vector of one level.

    ``N x i x H x W`` -> value ``N x o x sH x sW``, key ``N x o``.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        super().__init__()
        self.value = Projection(in_channels, out_channels, scale)
        self.key = KeyVector(in_channels, out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.value(x), self.key(x)


class HeadFusion(nn.Module):
    """HF: per-channel attention over the four levels, then concatenation with the bottleneck.

    e1 ``N x c x H x W``, e2 ``N x 2c x H/2 x W/2``, e3, e4, d ``N x 8c x H/8 x W/8``
    -> ``N x 256 x H x W``.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(KeyValue(width, HEAD_WIDTH, 2**level) for level, width in enumerate(widths))
        self.deep = KeyValue(widths[-1], HEAD_WIDTH, 2 ** (LEVELS - 1))
        self.mix = nn.Linear(2 * HEAD_WIDTH, HEAD_WIDTH)

    def forward(self, levels: Sequence[Tensor], bottleneck: Tensor) -> Tensor:
        deep, query = self.deep(bottleneck)
        pairs = [embed(level) for embed, level in zip(self.levels, levels, strict=True)]
        scores = [self.mix(torch.cat([key, query], dim=1)) for _, key in pairs]
        weights = torch.stack(scores, dim=1).softmax(dim=1)[..., None, None]  # N x 4 x 128 x 1 x 1
        fused = pairs[0][0] * weights[:, 0]
        for level, (value, _) in enumerate(pairs[1:], start=1):
            fused = fused + value * weights[:, level]
        return torch.cat([fused, deep], dim=1)


class LiteNeXt(nn.Module):
    """LiteNeXt.  ``N x in_channels x H x W`` -> logits ``N x out_channels x H x W``."""

    def __init__(self, in_channels: int, out_channels: int, width: int, far_kernels: Sequence[int]) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.patch = ConvNormGelu(in_channels, width, kernel=2, stride=2, padding=0)
        self.downs = nn.ModuleList(Down(i, o) for i, o in pairwise(widths))
        self.mixers = nn.ModuleList(LGEMixer(c, k) for c, k in zip(widths, far_kernels, strict=True))
        self.bottleneck = ResidualBottleneck(widths[-1])
        self.fusion = HeadFusion(widths)
        self.projection = Projection(2 * HEAD_WIDTH, width, scale=2)
        self.prediction = nn.Conv2d(width, out_channels, 1)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Stages 0 to 4.  ``N x 3 x H x W`` -> [e1 ``H/2``, e2 ``H/4``, e3 ``H/8``, e4 ``H/16``]."""
        levels = [self.mixers[0](self.patch(image))]
        for down, mixer in zip(self.downs, list(self.mixers)[1:], strict=True):
            levels.append(mixer(down(levels[-1])))
        return levels

    def forward(self, image: Tensor) -> Tensor:
        levels = self.encode(image)
        fused = self.fusion(levels, self.bottleneck(levels[-1]))
        return self.prediction(self.projection(fused))


def build(
    in_channels: int = 3,
    classes: int = 1,
    width: int = 16,
    far_kernel: int | Sequence[int] = 7,
) -> nn.Module:
    """Make an untrained LiteNeXt of ``classes`` maps; ``far_kernel`` is one size for all stages or one per stage."""
    kernels = [far_kernel] * LEVELS if isinstance(far_kernel, int) else list(far_kernel)
    return LiteNeXt(in_channels, classes, width, kernels)
