"""Segmentation networks that no one here wrote, small, with random weights and warmed statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.task.task import SegmentationTask

Build = Callable[[], Any]


@dataclass(frozen=True)
class Network:
    """One architecture.

    Attributes:
        name: ``library/architecture``.
        build: makes the ``nn.Module``; imports its library only then.
        size: height and width of the input.
        maps: channels of its output.
        grey: whether it takes one channel rather than three.
    """

    name: str
    build: Build
    size: int = 64
    maps: int = 2
    grey: bool = False

    @property
    def task(self) -> SegmentationTask:
        """What the network is for."""
        classes = ("foreground",) if self.maps == 1 else tuple(f"class{index}" for index in range(self.maps))
        return SegmentationTask(
            size=(self.size, self.size),
            channels="grey" if self.grey else "rgb",
            mean=(0.5,),
            std=(0.25,),
            classes=classes,
            activation="sigmoid" if self.maps == 1 else "softmax",
        )


def warmed(network: Network) -> Any:
    """The network in evaluation mode, its running statistics those of a few random batches."""
    import torch

    torch.manual_seed(0)
    module = network.build()
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(2, network.task.in_channels, *network.task.size))
    return module.eval()


def _monai(name: str, **options: Any) -> Build:
    def build() -> Any:
        from monai.networks import nets

        return getattr(nets, name)(**options)

    return build


def _smp(name: str, encoder: str, **options: Any) -> Build:
    def build() -> Any:
        declare_torchvision()
        import segmentation_models_pytorch as smp

        return getattr(smp, name)(encoder, encoder_weights=None, classes=2, **options)

    return build


def _hf(name: str, config: str, **options: Any) -> Build:
    def build() -> Any:
        declare_torchvision()
        import transformers

        return getattr(transformers, name)(getattr(transformers, config)(num_labels=2, **options))

    return build


def _upernet() -> Any:
    import transformers

    backbone = transformers.ConvNextConfig(
        depths=[1, 1, 2, 1], hidden_sizes=[16, 32, 64, 96], out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone, hidden_size=32, num_labels=2, auxiliary_in_channels=64, use_auxiliary_head=False
    )
    return transformers.UperNetForSemanticSegmentation(config)


def _mask2former() -> Any:
    declare_torchvision()
    import transformers

    from edge.loading.doors.hugging_face import only_queries

    stages = ["stage1", "stage2", "stage3", "stage4"]
    swin = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4], "window_size": 4}
    width = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_feedforward_dim": 64}
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(image_size=64, out_features=stages, **swin),
        dim_feedforward=64,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=10,
        num_labels=2,
        **width,
    )
    return only_queries(transformers.Mask2FormerForUniversalSegmentation(config))


def _eomt() -> Any:
    declare_torchvision()
    import transformers

    from edge.loading.doors.hugging_face import only_queries

    config = transformers.EomtConfig(
        image_size=64,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        mlp_ratio=2,
        num_blocks=2,
        num_queries=10,
        num_upscale_blocks=1,
        num_labels=2,
    )
    network = transformers.EomtForUniversalSegmentation(config)
    network.attn_mask_probs.zero_()  # as training leaves them
    return only_queries(network)


def _nnunet(name: str, **options: Any) -> Build:
    def build() -> Any:
        from dynamic_network_architectures.architectures import unet
        from torch import nn

        return getattr(unet, name)(
            input_channels=3,
            n_stages=4,
            features_per_stage=[8, 16, 32, 64],
            conv_op=nn.Conv2d,
            kernel_sizes=3,
            strides=[1, 2, 2, 2],
            num_classes=2,
            n_conv_per_stage_decoder=1,
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            **options,
        )

    return build


def _torchvision(name: str) -> Build:
    def build() -> Any:
        declare_torchvision()
        from torchvision.models import segmentation

        return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=2)

    return build


def declare_torchvision() -> None:
    """Declare the operators that torchvision's compiled part would; its PyPI wheel lacks them beside a CPU PyTorch."""
    import torch

    try:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)  # an operator lives as long as the library that declared it
    except RuntimeError:  # declared already
        pass


_KEPT: list[Any] = []
_TWO = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
_LEVELS = {"channels": (8, 16, 32), "strides": (2, 2)}
_PATCH = {"image_size": 64, "patch_size": 8, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
_DYN = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [8, 16, 32]}

NETWORKS: tuple[Network, ...] = (
    Network("monai/UNet", _monai("UNet", **_TWO, **_LEVELS), grey=True),
    Network("monai/UNet-residual", _monai("UNet", num_res_units=2, **_TWO, **_LEVELS), grey=True),
    Network("monai/BasicUNet", _monai("BasicUNet", features=(8, 8, 16, 32, 64, 8), **_TWO), grey=True),
    Network("monai/BasicUNetPlusPlus", _monai("BasicUNetPlusPlus", features=(8, 8, 16, 32, 64, 8), **_TWO), grey=True),
    Network("monai/DynUNet", _monai("DynUNet", deep_supervision=True, deep_supr_num=1, **_DYN, **_TWO), grey=True),
    Network("monai/AttentionUnet", _monai("AttentionUnet", **_TWO, **_LEVELS), grey=True),
    Network("monai/SegResNet", _monai("SegResNet", init_filters=8, **_TWO), grey=True),
    Network(
        "monai/UNETR",
        _monai("UNETR", img_size=64, feature_size=8, hidden_size=48, mlp_dim=96, num_heads=4, **_TWO),
        grey=True,
    ),
    Network("monai/SwinUNETR", _monai("SwinUNETR", feature_size=12, **_TWO), grey=True),
    Network("monai/FlexibleUNet", _monai("FlexibleUNet", backbone="efficientnet-b0", **_TWO), grey=True),
    Network("monai/MedNeXt", _monai("MedNeXt", init_filters=8, **_TWO), grey=True),
    Network("monai/HighResNet", _monai("HighResNet", **_TWO), grey=True),
    Network("nnunet/PlainConvUNet", _nnunet("PlainConvUNet", n_conv_per_stage=2, deep_supervision=True)),
    Network("nnunet/ResidualEncoderUNet", _nnunet("ResidualEncoderUNet", n_blocks_per_stage=1)),
    Network("smp/Unet-mobilenet_v2", _smp("Unet", "mobilenet_v2")),
    Network("smp/UnetPlusPlus-resnet18", _smp("UnetPlusPlus", "resnet18")),
    Network("smp/FPN-resnet18", _smp("FPN", "resnet18")),
    Network("smp/PSPNet-resnet18", _smp("PSPNet", "resnet18")),
    Network("smp/Linknet-resnet18", _smp("Linknet", "resnet18")),
    Network("smp/MAnet-mobilenet_v2", _smp("MAnet", "mobilenet_v2")),
    Network("smp/PAN-mobilenet_v2", _smp("PAN", "mobilenet_v2"), size=128),
    Network("smp/DeepLabV3Plus-mobilenet_v2", _smp("DeepLabV3Plus", "mobilenet_v2")),
    Network("smp/Segformer-mit_b0", _smp("Segformer", "mit_b0")),
    Network("smp/UPerNet-resnet18", _smp("UPerNet", "resnet18")),
    Network(
        "hf/SegFormer",
        _hf("SegformerForSemanticSegmentation", "SegformerConfig", hidden_sizes=[16, 32, 64, 96], depths=[1, 1, 1, 1]),
    ),
    Network("hf/UperNet-ConvNeXt", _upernet),
    Network(
        "hf/DPT",
        _hf(
            "DPTForSemanticSegmentation",
            "DPTConfig",
            num_hidden_layers=4,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[16, 16, 16, 16],
            fusion_hidden_size=16,
            use_auxiliary_head=False,
            **_PATCH,
        ),
    ),
    Network(
        "hf/BEiT",
        _hf(
            "BeitForSemanticSegmentation",
            "BeitConfig",
            num_hidden_layers=4,
            out_indices=[1, 2, 3, 4],
            use_auxiliary_head=False,
            use_relative_position_bias=True,
            **_PATCH,
        ),
    ),
    Network(
        "hf/MobileViTV2-DeepLabV3",
        _hf("MobileViTV2ForSemanticSegmentation", "MobileViTV2Config", image_size=64, width_multiplier=0.5),
    ),
    Network("hf/Mask2Former", _mask2former),
    Network("hf/EoMT", _eomt),
    Network("hf/MobileNetV2-DeepLabV3", _hf("MobileNetV2ForSemanticSegmentation", "MobileNetV2Config", image_size=64)),
    Network("torchvision/LR-ASPP", _torchvision("lraspp_mobilenet_v3_large")),
    Network("torchvision/DeepLabV3-mobilenet_v3", _torchvision("deeplabv3_mobilenet_v3_large")),
)
"""Thirty-four architectures of five libraries."""
