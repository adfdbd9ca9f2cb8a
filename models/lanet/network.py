"""LANet (ITTA 2024): a MobileViT-S encoder, gated skips (EFA) and a fusing decoder (AFFD).

Shapes are written ``N x C x H x W``.  ``H`` and ``W`` of the input are best multiples of 64; multiples of 32
work through a bilinear resize inside the transformer blocks.  All tensors are floating point.  Names follow
the paper: MV2 (inverted residual), MViT (MobileViT block), EFA (efficient fusion attention), AFFD (adaptive
feature fusion decoder), WB (weighted block).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

EXPANSION = 4  # of the inverted residuals
HEADS = 4
PATCH = 2  # side of the patches that the transformer gathers over
DROPOUT = 0.1
FUSED = 32  # width of the summed decoder levels


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm.  ``N x i x H x W`` -> ``N x o x H/stride x W/stride``."""

    def __init__(self, i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(i, o, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(o),
        )


class ConvNormSiLU(nn.Sequential):
    """CBS: convolution, batch norm, SiLU.  ``N x i x H x W`` -> ``N x o x H/stride x W/stride``."""

    def __init__(self, i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(*ConvNorm(i, o, kernel, stride, groups), nn.SiLU())


class InvertedResidual(nn.Module):
    """MV2: expand, depth-wise 3x3, project.  ``N x i x H x W`` -> ``N x o x H/stride x W/stride``."""

    def __init__(self, i: int, o: int, stride: int = 1) -> None:
        super().__init__()
        hidden = EXPANSION * i
        self.body = nn.Sequential(
            ConvNormSiLU(i, hidden, 1),
            ConvNormSiLU(hidden, hidden, 3, stride, groups=hidden),
            ConvNorm(hidden, o, 1),
        )
        self.residual = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if self.residual else y


class SelfAttention(nn.Module):
    """Multi-head self-attention.  ``B x S x d`` -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        length, width = tokens.shape[1], tokens.shape[2]
        heads = self.qkv(tokens).reshape(-1, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = heads[0], heads[1], heads[2]  # each B x HEADS x S x d/HEADS
        scores = (query * (width // HEADS) ** -0.5) @ key.transpose(-2, -1)
        mixed = scores.softmax(dim=-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(-1, length, width))


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward.  ``B x S x d`` -> the same shape."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), SelfAttention(width), nn.Dropout(DROPOUT))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Linear(hidden, width),
            nn.Dropout(DROPOUT),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(tokens)
        return tokens + self.feed_forward(tokens)


class MobileViTBlock(nn.Module):
    """MViT: local convolutions, a transformer over equal positions of all patches, fusion with the input.

    ``N x c x H x W`` -> the same shape.
    """

    def __init__(self, channels: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.local = nn.Sequential(ConvNormSiLU(channels, channels, 3), nn.Conv2d(channels, width, 1, bias=False))
        self.transformer = nn.Sequential(*(TransformerLayer(width, hidden) for _ in range(layers)), nn.LayerNorm(width))
        self.project = ConvNormSiLU(width, channels, 1)
        self.fuse = ConvNormSiLU(2 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        local = self.local(x)
        height, width = local.shape[2], local.shape[3]
        even = (height + height % PATCH, width + width % PATCH)
        if even != (height, width):
            local = functional.interpolate(local, size=even, mode="bilinear", align_corners=False)
        tokens = self.transformer(unfold_patches(local))
        whole = fold_patches(tokens, even[0], even[1])
        if even != (height, width):
            whole = functional.interpolate(whole, size=(height, width), mode="bilinear", align_corners=False)
        return self.fuse(torch.cat([x, self.project(whole)], dim=1))


def unfold_patches(x: Tensor) -> Tensor:
    """``N x d x H x W`` -> ``4N x HW/4 x d``: one sequence for each position inside a 2x2 patch."""
    channels, rows, columns = x.shape[1], x.shape[2] // PATCH, x.shape[3] // PATCH
    patches = x.reshape(-1, channels, rows, PATCH, columns, PATCH).permute(0, 3, 5, 2, 4, 1)
    return patches.reshape(-1, rows * columns, channels)


def fold_patches(tokens: Tensor, height: int, width: int) -> Tensor:
    """``4N x HW/4 x d`` -> ``N x d x H x W``: the inverse of ``unfold_patches``."""
    channels, rows, columns = tokens.shape[2], height // PATCH, width // PATCH
    patches = tokens.reshape(-1, PATCH, PATCH, rows, columns, channels).permute(0, 5, 3, 1, 4, 2)
    return patches.reshape(-1, channels, height, width)


class EFA(nn.Module):
    """Channel gate and spatial gate in parallel, summed.  ``N x c x H x W`` -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = nn.Conv1d(1, 1, 3, padding=1)
        self.spatial = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean(dim=(2, 3))  # N x c, read as a sequence of length c
        channel = self.channel(pooled[:, None]).sigmoid()[:, 0, :, None, None]
        return x * channel + x * self.spatial(x).sigmoid()


class SqueezeExcitation(nn.Module):
    """Channel gate through a hidden width of 1, without biases.  ``N x c x H x W`` -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, 1, bias=False),
            nn.ReLU(),
            nn.Linear(1, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(dim=(2, 3)))[:, :, None, None]


class AFFD(nn.Module):
    """Adds the upsampled deep level to the skip and refines the sum.

    low ``N x o x 2H x 2W``, deep ``N x d x H x W`` -> ``N x o x 2H x 2W``.
    """

    def __init__(self, low: int, deep: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            ConvNorm(deep, low, 1), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        )
        # The reference keeps biases in front of these norms.
        self.body = nn.Sequential(
            nn.Conv2d(low, low, 3, padding=1),
            nn.BatchNorm2d(low),
            nn.ReLU(),
            nn.Conv2d(low, low, 3, padding=1),
            nn.BatchNorm2d(low),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(low, low, 1), nn.BatchNorm2d(low))
        self.excite = SqueezeExcitation(low)

    def forward(self, low: Tensor, deep: Tensor) -> Tensor:
        fused = low + self.up(deep)
        return functional.relu(self.body(fused) + self.excite(self.shortcut(fused)))


class WeightedBlock(nn.Module):
    """WB: 1x1 to the fused width, scaled by a gate on its global average.

    ``N x c x H x W`` -> ``N x 32 x H x W``.  Its norms see 1x1 maps: a training batch holds at least 2 images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(ConvNorm(channels, FUSED, 1), nn.ReLU())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            ConvNorm(FUSED, FUSED, 1),
            nn.ReLU(),
            ConvNorm(FUSED, FUSED, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        return reduced * self.gate(reduced)


class LANet(nn.Module):
    """LANet.  ``N x in_channels x H x W`` -> logits ``N x classes x H x W`` (softmax belongs to the task)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = ConvNormSiLU(in_channels, 16, 3, stride=2)
        self.stages = nn.ModuleList(
            [
                InvertedResidual(16, 32),
                nn.Sequential(InvertedResidual(32, 64, stride=2), InvertedResidual(64, 64), InvertedResidual(64, 64)),
                _transformer_stage(64, 96, width=144, hidden=288, layers=2),
                _transformer_stage(96, 128, width=192, hidden=384, layers=4),
                _transformer_stage(128, 160, width=240, hidden=480, layers=3),
            ]
        )
        widths = [32, 64, 96, 128, 160]
        self.attentions = nn.ModuleList(EFA(width) for width in widths)
        self.decoders = nn.ModuleList(AFFD(low, deep) for low, deep in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.weighted = nn.ModuleList(WeightedBlock(width) for width in widths[-2::-1])
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.head = nn.Sequential(
            nn.Conv2d(FUSED, FUSED, 1),
            nn.BatchNorm2d(FUSED),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(FUSED, classes, 1),
            nn.BatchNorm2d(classes),
        )
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        skips = self._encode(image)
        decoded = self._decode(skips)
        fused = self.weighted[0](decoded[0])
        for block, level in zip(list(self.weighted)[1:], decoded[1:], strict=True):
            fused = self.up(fused) + block(level)
        return self.head(fused)

    def _encode(self, image: Tensor) -> list[Tensor]:
        """``N x 3 x H x W`` -> five gated levels, at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        x = self.stem(image)
        skips = []
        for stage, attention in zip(self.stages, self.attentions, strict=True):
            x = stage(x)
            skips.append(attention(x))
        return skips

    def _decode(self, skips: Sequence[Tensor]) -> list[Tensor]:
        """Five gated levels -> D1 at 1/16 to D4 at 1/2."""
        deep, decoded = skips[-1], []
        for block, low in zip(self.decoders, skips[-2::-1], strict=True):
            deep = block(low, deep)
            decoded.append(deep)
        return decoded


def _transformer_stage(i: int, o: int, width: int, hidden: int, layers: int) -> nn.Module:
    return nn.Sequential(InvertedResidual(i, o, stride=2), MobileViTBlock(o, width, hidden, layers))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def build(in_channels: int = 3, classes: int = 2) -> nn.Module:
    """Make an untrained LANet; ``classes`` counts the background."""
    return LANet(in_channels, classes)
