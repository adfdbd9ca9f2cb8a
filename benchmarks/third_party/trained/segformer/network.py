"""SegFormer-B0 of Hugging Face transformers, from random weights: maps are a quarter of the input's sides."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from benchmarks.third_party.networks import declare_torchvision


class SegFormer(nn.Module):
    """``N x 3 x H x W`` -> logits ``N x classes x H/4 x W/4``; while training they are enlarged."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        declare_torchvision()
        import transformers

        config = transformers.SegformerConfig(num_labels=classes)  # the defaults are those of B0
        self.network = transformers.SegformerForSemanticSegmentation(config)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image).logits
        if not self.training:
            return logits
        return functional.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=False)


def build(classes: int) -> nn.Module:
    """The network of ``model.toml``."""
    return SegFormer(classes)
