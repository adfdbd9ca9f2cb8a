"""nnU-Net's PlainConvUNet (dynamic_network_architectures) in two dimensions, from random weights."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn


def build(classes: int, features: Sequence[int]) -> nn.Module:
    """The network of ``model.toml``: ``N x 3 x H x W`` -> logits ``N x classes x H x W``.

    Norm, activation and numbers of convolutions are those that nnU-Net plans for 2-D images.
    """
    return PlainConvUNet(
        input_channels=3,
        n_stages=len(features),
        features_per_stage=list(features),
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1, *[2] * (len(features) - 1)],
        n_conv_per_stage=2,
        num_classes=classes,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
