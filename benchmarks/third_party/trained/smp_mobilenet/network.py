"""U-Net with a MobileNetV2 encoder of segmentation_models_pytorch, from random weights."""

from __future__ import annotations

from torch import nn

from benchmarks.third_party.networks import declare_torchvision


def build(classes: int) -> nn.Module:
    """The network of ``model.toml``: ``N x 3 x H x W`` -> logits ``N x classes x H x W``; sides are multiples of 32."""
    declare_torchvision()
    import segmentation_models_pytorch as smp

    return smp.Unet("mobilenet_v2", encoder_weights=None, classes=classes)
