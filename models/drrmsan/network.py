"""DRRMSAN (Pal and Mj): MultiRes blocks, an image pyramid at every level, gated skips, four supervised masks.

Shapes are written ``N x C x H x W``; the input's ``H`` and ``W`` are multiples of 16, its values in [0, 1].
All tensors are floating point.  Names follow the authors: MRes (MultiRes block), RPath (residual path),
AddGate and DualGate (attention gates), Down (pooled features beside the pooled image), o1..o4 (masks from full
resolution to 1/8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Profile = Literal["A", "B"]
Output = Literal["mean", "full"]

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01
UNITS = (32, 64, 128, 256, 512)  # U of the MultiRes blocks, full resolution first
WIDENING = 1.67
SHARES = (0.167, 0.333, 0.5)  # of the three chained convolutions
PYRAMID_SHARES = (0.30, 0.40, 0.05)  # average, maximum, minimum
LARGER_THAN_ANY_INPUT = 2.0


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with the authors' epsilon and momentum.  ``N x C x H x W`` -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)


class ShiftNorm(BatchNorm):
    """BNs: batch norm that learns its shift only; the scale stays 1 and is not trainable."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight.requires_grad_(False)


class ConvShift(nn.Sequential):
    """CBl: convolution without bias, shift norm.  ``N x i x H x W`` -> ``N x o x H x W``."""

    def __init__(self, i: int, o: int, kernel: int) -> None:
        super().__init__(nn.Conv2d(i, o, kernel, padding=kernel // 2, bias=False), ShiftNorm(o))


class ConvShiftReLU(nn.Sequential):
    """CB: CBl and ReLU.  ``N x i x H x W`` -> ``N x o x H x W``."""

    def __init__(self, i: int, o: int, kernel: int) -> None:
        super().__init__(*ConvShift(i, o, kernel), nn.ReLU())


def multires_widths(units: int) -> tuple[int, int, int]:
    """Widths of the three chained convolutions of a MultiRes block."""
    a, b, c = (int(WIDENING * units * share) for share in SHARES)
    return a, b, c


class MultiRes(nn.Module):
    """MRes: three chained 3x3 convolutions, concatenated, plus a 1x1 shortcut.

    ``N x i x H x W`` -> ``N x o x H x W`` with ``o = sum(multires_widths(units))``.
    """

    def __init__(self, in_channels: int, units: int) -> None:
        super().__init__()
        a, b, c = multires_widths(units)
        self.out_channels = a + b + c
        self.shortcut = ConvShift(in_channels, self.out_channels, 1)
        self.conv1 = ConvShiftReLU(in_channels, a, 3)
        self.conv2 = ConvShiftReLU(a, b, 3)
        self.conv3 = ConvShiftReLU(b, c, 3)
        self.norm_chain = BatchNorm(self.out_channels)
        self.norm_out = BatchNorm(self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y1 = self.conv1(x)
        y2 = self.conv2(y1)
        y3 = self.conv3(y2)
        chain = self.norm_chain(torch.cat([y1, y2, y3], dim=1))
        return self.norm_out(functional.relu(self.shortcut(x) + chain))


class ResidualStage(nn.Module):
    """One stage of RPath: 1x1 and 3x3 in parallel, summed.  ``N x i x H x W`` -> ``N x f x H x W``."""

    def __init__(self, i: int, f: int) -> None:
        super().__init__()
        self.shortcut = ConvShift(i, f, 1)
        self.conv = ConvShiftReLU(i, f, 3)
        self.norm = BatchNorm(f)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(functional.relu(self.shortcut(x) + self.conv(x)))


class ResidualPath(nn.Sequential):
    """RPath of n stages.  ``N x i x H x W`` -> ``N x f x H x W``."""

    def __init__(self, i: int, f: int, stages: int) -> None:
        super().__init__(*(ResidualStage(i if index == 0 else f, f) for index in range(stages)))


class PyramidLevel(nn.Module):
    """The next smaller average, maximum and minimum images.

    Three ``N x 3 x H x W`` -> three ``N x 3 x H/2 x W/2``.  The minimum ignores zeros unless all four are zero.
    """

    def forward(self, average: Tensor, maximum: Tensor, minimum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # A constant instead of the batch's own maximum: the same result for inputs in [0, 1], whatever the batch.
        raised = torch.where(minimum == 0, LARGER_THAN_ANY_INPUT, minimum)
        lowest = -functional.max_pool2d(-raised, 2)
        return (
            functional.avg_pool2d(average, 2),
            functional.max_pool2d(maximum, 2),
            torch.where(lowest == LARGER_THAN_ANY_INPUT, 0.0, lowest),
        )


class Down(nn.Module):
    """Pooled features beside convolutions of one pyramid level; no norm, no activation.

    features ``N x c x H x W``, images ``N x 3 x H/2 x W/2`` -> ``N x c x H/2 x W/2``.
    """

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__()
        average, maximum, minimum = (int(channels * share) for share in PYRAMID_SHARES)
        rest = channels - average - maximum - minimum
        self.pool = nn.MaxPool2d(2)
        self.features = nn.Conv2d(channels, rest, 3, padding=1)
        self.average = nn.Conv2d(image_channels, average, 3, padding=1)
        self.maximum = nn.Conv2d(image_channels, maximum, 3, padding=1)
        self.minimum = nn.Conv2d(image_channels, minimum, 3, padding=1)

    def forward(self, x: Tensor, images: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        average, maximum, minimum = images
        return torch.cat(
            [self.features(self.pool(x)), self.average(average), self.maximum(maximum), self.minimum(minimum)], dim=1
        )


class AddGate(nn.Module):
    """Additive attention: scales the upsampled deep features, not the skip.

    up, skip ``N x c x H x W`` -> ``N x c x H x W``.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.from_up = nn.Conv2d(channels, width, 1)
        self.from_skip = nn.Conv2d(channels, width, 1)
        self.rate = nn.Conv2d(width, 1, 1)

    def forward(self, up: Tensor, skip: Tensor) -> Tensor:
        joined = functional.relu(self.from_up(up) + self.from_skip(skip))
        return up * self.rate(joined).sigmoid()


class GateBranch(nn.Module):
    """One side of DualGate.

    ``N x c x H x W`` -> theta ``N x f x H x W`` and the branch's map ``N x f x H/2 x W/2``.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, width, 1)
        self.joint = nn.Conv2d(width, width, 2)
        self.views = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, kernel, padding=kernel // 2), nn.ReLU(), nn.Dropout2d(0.5))
            for kernel in (3, 5, 7)
        )
        self.sum_gate = nn.Conv2d(width, width, 1)
        self.product_gate = nn.Conv2d(width, width, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        theta = self.theta(x)
        # "Same" padding of an even kernel puts the extra row and column at the bottom right.
        joint = self.joint(functional.pad(theta, (0, 1, 0, 1)))
        v3, v5, v7 = (view(joint) for view in self.views)
        sum_gate = self.sum_gate((v3 + v5 + v7).sigmoid()).sigmoid()
        product_gate = self.product_gate((v3 * v5 * v7).sigmoid()).sigmoid()
        return theta, self.pool(sum_gate) * self.pool(product_gate)


class DualGate(nn.Module):
    """Profile A's gate of two 3/5/7 branches.  up, skip ``N x c x H x W`` -> ``N x f x H x W``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.up_branch = GateBranch(channels, width)
        self.skip_branch = GateBranch(channels, width)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, up: Tensor, skip: Tensor) -> Tensor:
        _, up_map = self.up_branch(up)
        theta, skip_map = self.skip_branch(skip)
        return self.upsample((up_map * skip_map).sigmoid()) * theta


class Fuse(nn.Module):
    """Profile B: upsample, gate, then add the skip or set it beside the gated map.

    deep ``N x d x H x W``, skip ``N x c x 2H x 2W`` -> ``N x out_channels x 2H x 2W``.
    """

    def __init__(self, deep: int, channels: int, gate_width: int, concatenate: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(deep, channels, 2, stride=2)
        self.gate = AddGate(channels, gate_width)
        self.concatenate = concatenate
        self.out_channels = 2 * channels if concatenate else channels

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        gated = self.gate(self.up(deep), skip)
        return torch.cat([gated, skip], dim=1) if self.concatenate else gated + skip


class TripleFuse(nn.Module):
    """Profile A: additive gate, plain sum and dual gate, each on its own upsampling, summed.

    deep ``N x d x H x W``, skip ``N x c x 2H x 2W`` -> ``N x c x 2H x 2W``.
    """

    def __init__(self, deep: int, channels: int, gate_width: int) -> None:
        super().__init__()
        self.ups = nn.ModuleList(nn.ConvTranspose2d(deep, channels, 2, stride=2) for _ in range(3))
        self.add_gate = AddGate(channels, gate_width)
        self.dual_gate = DualGate(channels, channels)
        self.out_channels = channels

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        gated, plain, dual = (up(deep) for up in self.ups)
        return self.add_gate(gated, skip) + (plain + skip) + self.dual_gate(dual, skip)


class SideHead(nn.Sequential):
    """Logits from a coarse level: 3x3, nearest upsampling, 3x3.  ``N x i x H x W`` -> ``N x classes x sH x sW``."""

    def __init__(self, i: int, hidden: int, scale: int, classes: int) -> None:
        super().__init__(
            nn.Conv2d(i, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=scale, mode="nearest"),
            nn.Conv2d(hidden, classes, 3, padding=1),
        )


class DRRMSAN(nn.Module):
    """DRRMSAN.  ``N x in_channels x H x W`` in [0, 1] -> maps ``N x classes x H x W``.

    Training mode returns the logits (o4, o3, o2, o1).  Evaluation mode returns what the task scores: the mean of
    their probabilities (``output="mean"``, the authors' o_f) or the logits o1 alone (``output="full"``).
    """

    def __init__(self, in_channels: int, profile: Profile, output: Output, classes: int) -> None:
        super().__init__()
        if profile not in ("A", "B") or output not in ("mean", "full"):
            raise ValueError(f"profile = {profile!r} is not A or B, or output = {output!r} is not mean or full")
        self.output = output
        widths = [sum(multires_widths(units)) for units in UNITS]
        self.encoder = nn.ModuleList(
            MultiRes(i, units) for i, units in zip([in_channels, *widths[:-1]], UNITS, strict=True)
        )
        self.paths = nn.ModuleList(
            ResidualPath(i, units, stages) for i, units, stages in zip(widths, UNITS, (4, 3, 2, 1), strict=False)
        )
        self.pyramid = PyramidLevel()
        self.downs = nn.ModuleList(Down(width, in_channels) for width in widths[:3])
        self.pool = nn.MaxPool2d(2)
        # From the deepest level up; the 1/2 level alone sets the skip beside the gated map.
        fuses: list[Fuse | TripleFuse] = []
        for level, gate_width in ((3, 64), (2, 128), (1, 64), (0, 32)):
            deep, channels = widths[level + 1], UNITS[level]
            if profile == "B":
                fuses.append(Fuse(deep, channels, gate_width, concatenate=level == 1))
            else:
                fuses.append(TripleFuse(deep, channels, gate_width))
        self.fuses = nn.ModuleList(fuses)
        self.decoder = nn.ModuleList(
            MultiRes(fuse.out_channels, units) for fuse, units in zip(fuses, UNITS[3::-1], strict=True)
        )
        self.sides = nn.ModuleList(SideHead(widths[level], widths[level - 1], 2**level, classes) for level in (3, 2, 1))
        self.head = ConvShift(widths[0], classes, 3)
        self._initialise()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        decoded = self._decode(*self._encode(image))
        full = self.head(decoded[-1])
        if not self.training and self.output == "full":
            return full
        maps = (*(side(level) for side, level in zip(self.sides, decoded[:3], strict=True)), full)
        if self.training:
            return maps
        o4, o3, o2, o1 = (logits.sigmoid() for logits in maps)
        return (o4 + o3 + o2 + o1) * 0.25

    def _encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``N x 3 x H x W`` -> e5 ``N x 853 x H/16 x W/16`` and the skips s1 to s4."""
        x, images = self.encoder[0](image), (image, image, image)
        skips = [self.paths[0](x)]
        for down, encode, path in zip(self.downs, self.encoder[1:4], self.paths[1:], strict=True):
            images = self.pyramid(*images)
            x = encode(down(x, images))
            skips.append(path(x))
        return self.encoder[4](self.pool(x)), skips

    def _decode(self, deep: Tensor, skips: Sequence[Tensor]) -> list[Tensor]:
        """e5 and skips -> m4 at 1/8, m3, m2, m1 at full resolution."""
        decoded = []
        for fuse, refine, skip in zip(self.fuses, self.decoder, reversed(skips), strict=True):
            deep = refine(fuse(deep, skip))
            decoded.append(deep)
        return decoded

    def _initialise(self) -> None:
        """Glorot uniform kernels and zero biases; the side predictors He normal."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for side in self.sides:
            nn.init.kaiming_normal_(side[3].weight)


def build(in_channels: int = 3, profile: Profile = "B", output: Output = "mean", classes: int = 1) -> nn.Module:
    """Make an untrained DRRMSAN of profile B (deep supervision) or A (also the dual gates).

    The mean is of sigmoids, for one map or overlapping ones; classes that exclude each other take ``output="full"``.
    """
    return DRRMSAN(in_channels, profile, output, classes)
