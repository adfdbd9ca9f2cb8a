"""Doors to other frameworks, each on a folder that the real library makes; skipped where it is not installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.backends.onnxruntime import reference
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.images.masks import class_labels
from edge.images.readers.stack import Pixels
from edge.loading import load_model
from edge.pipeline.init import starter_task
from edge.pipeline.starter import GUESS
from edge.task.decide import IGNORED
from edge.task.noise import noise_batch

torch = pytest.importorskip("torch")


def library(name: str) -> Any:
    """A framework, with what torchvision's wheel leaves undeclared; skips where it does not import."""
    from benchmarks.third_party.networks import declare_torchvision

    declare_torchvision()
    return pytest.importorskip(name, exc_type=ImportError)


def require_same(model: Model, network: Any) -> None:
    """The loaded graph returns what the library's own network does, raised to the task's size."""
    image = noise_batch(model.task)
    with torch.no_grad():
        made = network.eval()(torch.from_numpy(image))
    logits = made if isinstance(made, torch.Tensor) else made.logits
    logits = torch.nn.functional.interpolate(logits, model.task.size, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(reference(model).run(image), logits.numpy(), atol=1e-4)


BUNDLE = {
    "channels": [4, 8, 16],
    "network_def": {
        "_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": "@channels",
        "strides": [2, 2],
    },
    "preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32], "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", "a_min": -100, "a_max": 300, "b_min": -1.0, "b_max": 1.0},
    ]},
}  # fmt: skip


def bundle(folder: Path, config: dict[str, Any]) -> Any:
    """A MONAI bundle with the weights of a U-Net, and that U-Net."""
    from monai.networks.nets import UNet

    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    form = {
        "inputs": {"image": {"num_channels": 1, "spatial_shape": [48, 48]}},
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "spleen"}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": form}))
    torch.manual_seed(0)
    network = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return network


def test_a_monai_bundle(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    network = bundle(tmp_path / "spleen", BUNDLE)
    model = load_model(f"monai:{tmp_path / 'spleen'}")
    task = model.task
    assert (task.size, task.resize, task.classes, task.channels) == (
        (32, 32),
        "bilinear",
        ("background", "spleen"),
        "grey",
    )
    ends = task.preprocess(np.array([[-100.0, 300.0]] * 2, np.float32))
    assert ends.min() == pytest.approx(-1.0) and ends.max() == pytest.approx(1.0)
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(reference(model).run(image), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("channels", "$[2 ** i for i in range(2, 5)]", "is an expression .*none is run"),
        ("network_def", {"_target_": "os.system", "command": "true"}, "none of monai.networks.nets; not built"),
        ("network_def", {**BUNDLE["network_def"], "spatial_dims": 3}, "its network is 3-D"),
        ("preprocessing", {"transforms": [{"_target_": "HistogramNormalized"}]}, "HistogramNormalized, which no task"),
    ],
)
def test_a_bundle_that_would_run_code_or_says_too_much_is_refused(
    key: str, value: Any, message: str, tmp_path: Path
) -> None:
    pytest.importorskip("monai")
    bundle(tmp_path / "spleen", {**BUNDLE, key: value})
    with pytest.raises(InputError, match=message):
        load_model(f"monai:{tmp_path / 'spleen'}")


def prepared(transforms: list[dict[str, Any]], tmp_path: Path, channels: int = 1, **config: Any) -> Any:
    """The task of a bundle with these transforms, and MONAI's own preprocessing of ``[channels, h, w]``."""
    import monai.transforms as monai

    folder = tmp_path / "bundle"
    bundle(folder, {**BUNDLE, "preprocessing": {"transforms": transforms}, **config})
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata["network_data_format"]["inputs"]["image"]["num_channels"] = channels
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    network = {**BUNDLE["network_def"], "in_channels": channels}
    (folder / "configs" / "inference.json").write_text(
        json.dumps({**BUNDLE, "network_def": network, "preprocessing": {"transforms": transforms}, **config})
    )
    torch.manual_seed(0)
    from monai.networks.nets import UNet

    weights = UNet(spatial_dims=2, in_channels=channels, out_channels=2, channels=(4, 8, 16), strides=(2, 2))
    torch.save(weights.state_dict(), folder / "models" / "model.pt")
    theirs = monai.Compose([
        getattr(monai, t["_target_"])(**{k: v for k, v in t.items() if k != "_target_"}) for t in transforms
    ])  # fmt: skip
    return load_model(f"monai:{folder}").task, lambda image: np.asarray(
        theirs({"image": image, "label": image})["image"]
    )


RANGED = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -100, "a_max": 300, "b_min": -1.0, "b_max": 1.0}
BYTES = {"_target_": "ScaleIntensityRanged", "keys": ["image"], "a_min": 0, "a_max": 255, "b_min": 0.0, "b_max": 1.0}
FIXED = {
    "_target_": "NormalizeIntensityd",
    "keys": "image",
    "channel_wise": True,
    "subtrahend": [0.5, 0.4, 0.3],
    "divisor": [0.2, 0.3, 0.4],
}
ZSCORE = {"_target_": "NormalizeIntensityd", "keys": "image"}
HALVED = {"_target_": "ScaleIntensityd", "keys": "image", "minv": None, "maxv": None, "factor": -0.5}


@pytest.mark.parametrize(
    ("transforms", "channels"),
    [
        ([RANGED], 1),
        ([{**RANGED, "clip": True}], 1),
        ([{**RANGED, "b_min": None, "b_max": None}], 1),
        ([BYTES, FIXED], 3),
        ([{**BYTES, "b_min": -1.0}, FIXED], 3),
        ([{**RANGED, "clip": True}, ZSCORE], 1),
        ([{**ZSCORE, "channel_wise": True}], 3),
        ([ZSCORE], 3),
        ([{"_target_": "ScaleIntensityd", "keys": "label", "minv": -1, "maxv": 1}, RANGED], 1),
    ],
    ids=["beyond", "clipped", "no b", "bytes", "bytes to -1", "then zscore", "each channel", "together", "label"],
)
def test_a_bundles_scaling_is_monai_s(transforms: list[dict[str, Any]], channels: int, tmp_path: Path) -> None:
    pytest.importorskip("monai")
    size = {
        "_target_": "Resized",
        "keys": ["image", "label"],
        "spatial_size": [32, 32],
        "mode": ["bilinear", "nearest"],
    }
    task, theirs = prepared([size, *transforms], tmp_path, channels)
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (channels, 32, 32))
    in_bytes = transforms[0].get("a_max") == BYTES["a_max"]
    image = levels.astype(np.uint8) if in_bytes else (levels * 3 - 200).astype(np.float32)
    ours = task.preprocess(image.transpose(1, 2, 0) if channels > 1 else image[0])
    np.testing.assert_allclose(ours, theirs(image.astype(np.float32)), atol=1e-4)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([{"_target_": "ScaleIntensityd", "keys": "image", "minv": -1, "maxv": 1}], "ScaleIntensityd to -1 and 1"),
        ([{"_target_": "ScaleIntensityd", "keys": "image"}, FIXED], "ScaleIntensityd and then NormalizeIntensityd"),
        ([RANGED, BYTES], "ScaleIntensityRanged and then ScaleIntensityRanged"),
        ([RANGED, HALVED], "ScaleIntensityRanged and then ScaleIntensityd"),
        ([FIXED, {**FIXED, "channel_wise": False}], "NormalizeIntensityd and then NormalizeIntensityd"),
        ([RANGED, {**ZSCORE, "nonzero": True}], "ScaleIntensityRanged and then NormalizeIntensityd"),
        ([{**FIXED, "nonzero": True}], "NormalizeIntensityd with nonzero"),
        ([{"_target_": "Resized", "spatial_size": [32, 32], "size_mode": "longest"}], "size_mode longest"),
        ([{"_target_": "Resized", "keys": "image", "spatial_size": [32, -1]}], r"by area to \[32, -1\]"),
    ],
)  # fmt: skip
def test_a_scaling_that_no_task_says_is_refused(transforms: list[Any], message: str, tmp_path: Path) -> None:
    pytest.importorskip("monai")
    bundle(tmp_path / "spleen", {**BUNDLE, "preprocessing": {"transforms": transforms}})
    with pytest.raises(InputError, match=f"its preprocessing has .*{message}.*, which no task says"):
        load_model(f"monai:{tmp_path / 'spleen'}")


def test_a_bundle_that_slides_a_window_is_tiled_by_it(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    window = {"_target_": "SlidingWindowInferer", "roi_size": [48, 32], "overlap": 0.5, "mode": "gaussian"}
    bundle(tmp_path / "spleen", {**BUNDLE, "preprocessing": {"transforms": [RANGED]}, "inferer": window})
    task = load_model(f"monai:{tmp_path / 'spleen'}").task
    assert (task.size, task.fit, task.tile.overlap, task.tile.blend) == ((48, 32), "tile", 0.5, "gaussian")


def test_a_bundle_of_any_size_is_asked_for_one(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    bundle(tmp_path / "spleen", {**BUNDLE, "preprocessing": {"transforms": [RANGED]}})
    metadata = tmp_path / "spleen" / "configs" / "metadata.json"
    metadata.write_text(metadata.read_text().replace("[48, 48]", '["16*n", "16*n"]'))
    with pytest.raises(InputError, match=r"names no size in numbers .*16\*n.*; add --task task\.toml"):
        load_model(f"monai:{tmp_path / 'spleen'}")


def test_edge_init_takes_what_a_bundle_says_and_guesses_where_no_task_can_say_it(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    bundle(tmp_path / "spleen", BUNDLE)
    assert GUESS not in starter_task(f"monai:{tmp_path / 'spleen'}", None).text
    odd = {"transforms": [{"_target_": "HistogramNormalized"}]}
    bundle(tmp_path / "odd", {**BUNDLE, "preprocessing": odd})
    with pytest.raises(InputError, match=r"add --task task\.toml \(edge init monai:.*odd > task.toml to start from\)"):
        load_model(f"monai:{tmp_path / 'odd'}")
    assert GUESS in starter_task(f"monai:{tmp_path / 'odd'}", None).text
    with pytest.raises(InputError, match="nowhere"):
        starter_task(f"monai:{tmp_path / 'nowhere'}", None)


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    transformers = library("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], decoder_hidden_size=16, num_labels=3,
        id2label={0: "ground", 1: "road", 2: "tree"},
    )  # fmt: skip
    network = transformers.SegformerForSemanticSegmentation(config)
    network.save_pretrained(str(tmp_path))
    preprocessor = {
        "do_resize": True, "size": {"height": 64, "width": 96}, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3],
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    model = load_model(f"hf:{tmp_path}")
    task = model.task
    assert (task.size, task.resize, task.scale, task.mean) == ((64, 96), "bicubic", 255.0, (0.4, 0.5, 0.6))
    assert task.classes == ("ground", "road", "tree") and any("16 x 24 maps" in note for note in model.notes)
    require_same(model, network)


def test_channels_labels_and_figures_as_a_preprocessor_has_them(tmp_path: Path) -> None:
    """MobileViT flips its channels and has no mean; ADE20K's masks hold 0 for nothing and 1 for the first class."""
    transformers = library("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], decoder_hidden_size=16,
        id2label={0: "wall", 1: "floor", 2: "tree"},
    )  # fmt: skip
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(str(tmp_path))
    said = {"size": 32, "do_flip_channel_order": True, "do_reduce_labels": True, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    task = load_model(f"hf:{tmp_path}").task
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    np.testing.assert_allclose(task.preprocess(image), image.transpose(2, 0, 1)[::-1] / 255.0, atol=1e-6)
    labels = class_labels([Pixels(np.array([[0, 1, 2, 3]]))], (), task)
    assert labels.tolist() == [[IGNORED, 0, 1, 2]]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**said, "resample": 1}))
    with pytest.raises(InputError, match=r"resizes by Pillow's filter 1, a task by 0 \(nearest\), 2 \(bilinear\)"):
        load_model(f"hf:{tmp_path}")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_eomt_decides_by_its_stored_shares_before_it_is_exported(share: float, tmp_path: Path) -> None:
    transformers = library("transformers")
    torch.manual_seed(0)
    config = transformers.EomtConfig(
        image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2,
        num_blocks=1, num_queries=4, num_upscale_blocks=1, id2label={0: "ground", 1: "road"},
    )  # fmt: skip
    network = transformers.EomtForUniversalSegmentation(config).eval()
    network.attn_mask_probs.fill_(share)
    network.save_pretrained(str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 64}}))
    if 0 < share < 1:
        with pytest.raises(InputError, match="masks a random share of its queries"):
            load_model(f"hf:{tmp_path}")
        return
    model = load_model(f"hf:{tmp_path}")
    image = torch.from_numpy(noise_batch(model.task))
    with torch.no_grad():
        made = network(image)
    masks = torch.nn.functional.interpolate(made.masks_queries_logits, (64, 64), mode="bilinear").sigmoid()
    scores = made.class_queries_logits.softmax(dim=-1)[..., :-1]
    wanted = torch.einsum("bqc,bqhw->bchw", scores, masks).numpy()
    np.testing.assert_allclose(reference(model).run(image.numpy()), wanted, atol=1e-4)


@pytest.mark.slow
def test_a_hugging_face_folder_that_finds_classes_by_queries(tmp_path: Path) -> None:
    transformers = library("transformers")
    torch.manual_seed(0)
    swin = transformers.SwinConfig(
        image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32,
        dim_feedforward=32, encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=6,
        id2label={0: "ground", 1: "road", 2: "tree"},
    )  # fmt: skip
    network = transformers.Mask2FormerForUniversalSegmentation(config).eval()
    network.save_pretrained(str(tmp_path))
    processor = transformers.Mask2FormerImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(str(tmp_path))
    model = load_model(f"hf:{tmp_path}")
    assert model.task.classes == ("ground", "road", "tree") and "finds its classes by 6 masks" in model.notes[0]
    image = noise_batch(model.task)
    with torch.no_grad():
        made = network(torch.from_numpy(image))
    labels = processor.post_process_semantic_segmentation(made, target_sizes=[(64, 64)])[0].numpy()
    # The library enlarges to 384 x 384 and back, whatever the network's size.
    assert (model.task.decide(reference(model).run(image)[0]) == labels).mean() >= 0.995


def test_a_folder_of_another_kind_of_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    with pytest.raises(InputError, match="holds BertForMaskedLM, which returns no map of classes"):
        load_model(f"hf:{tmp_path}")


def test_a_segmentation_models_network_and_folder(tmp_path: Path) -> None:
    smp = library("segmentation_models_pytorch")
    torch.manual_seed(0)
    network = smp.Unet("mobilenet_v2", encoder_weights=None, classes=1)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    network.save_pretrained(str(tmp_path / "saved"))
    (tmp_path / "task.toml").write_text("[task]\nsize = [64, 64]\n")
    for spec, weights in ((f"smp:{tmp_path / 'saved'}", None), ("smp:Unet/mobilenet_v2", tmp_path / "w.pt")):
        require_same(load_model(spec, weights, tmp_path / "task.toml"), network)
    with pytest.raises(InputError, match=r"no architecture 'Vnet'; known are .*Unet"):
        load_model("smp:Vnet/resnet18", tmp_path / "w.pt", tmp_path / "task.toml")


ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 3, "features_per_stage": [4, 8, 16], "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]], "n_conv_per_stage": [1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1], "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}  # fmt: skip


def nnunet(folder: Path, architecture: dict[str, Any], scheme: str = "CTNormalization") -> None:
    """The files of an nnU-Net result that its planner and trainer write."""
    properties = {"mean": 40.0, "std": 50.0, "percentile_00_5": -60.0, "percentile_99_5": 140.0}
    plans = {
        "dataset_name": "Dataset001_Toy",
        "configurations": {"2d": {
            "patch_size": [32, 48], "normalization_schemes": [scheme], "use_mask_for_norm": [False],
            "architecture": architecture,
        }},
        "foreground_intensity_properties_per_channel": {"0": properties},
    }  # fmt: skip
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "tumour": 2, "liver": 1}}
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))


def test_an_nnunet_result(tmp_path: Path) -> None:
    unet = library("dynamic_network_architectures.architectures.unet")
    nnunet(tmp_path, ARCHITECTURE)
    options = dict(ARCHITECTURE["arch_kwargs"])
    options.update(conv_op=torch.nn.Conv2d, norm_op=torch.nn.InstanceNorm2d, nonlin=torch.nn.LeakyReLU)
    torch.manual_seed(0)
    network = unet.PlainConvUNet(1, num_classes=3, deep_supervision=True, **options)
    checkpoint = {
        "network_weights": network.state_dict(), "current_epoch": 3, "trainer_name": "nnUNetTrainer",
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(0.1)]}, "_best_ema": np.float64(0.5),
        "init_args": {"device": torch.device("cuda"), "fold": 0}, "inference_allowed_mirroring_axes": (0, 1),
    }  # fmt: skip
    torch.save(checkpoint, tmp_path / "fold_0" / "checkpoint_final.pth")
    model = load_model(f"nnunet:{tmp_path}")
    task = model.task
    assert (task.size, task.classes, task.fit) == ((32, 48), ("background", "liver", "tumour"), "tile")
    assert task.tile.overlap == 0.5 and task.tile.blend == "gaussian"
    values = task.normalized(task.values(np.array([[-500.0, 40.0, 500.0]], np.float32)))
    np.testing.assert_allclose(values[0, 0], [(-60 - 40) / 50, 0.0, (140 - 40) / 50], atol=1e-5)
    network.decoder.deep_supervision = False
    require_same(model, network)
    assert load_model(f"nnunet:{tmp_path / 'fold_0'}").sha256 == model.sha256


def test_three_channels_are_normalised_each_by_itself(tmp_path: Path) -> None:
    """nnU-Net's z-score takes the figures of every channel, of R, G, B and of three sequences alike."""
    unet = library("dynamic_network_architectures.architectures.unet")
    nnunet(tmp_path, ARCHITECTURE, "ZScoreNormalization")
    dataset = json.loads((tmp_path / "dataset.json").read_text())
    dataset["channel_names"] = {"0": "R", "1": "G", "2": "B"}
    (tmp_path / "dataset.json").write_text(json.dumps(dataset))
    options = dict(ARCHITECTURE["arch_kwargs"])
    options.update(conv_op=torch.nn.Conv2d, norm_op=torch.nn.InstanceNorm2d, nonlin=torch.nn.LeakyReLU)
    network = unet.PlainConvUNet(3, num_classes=3, deep_supervision=False, **options)
    torch.save({"network_weights": network.state_dict()}, tmp_path / "fold_0" / "checkpoint_final.pth")
    task = load_model(f"nnunet:{tmp_path}").task
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.float32) * [1.0, 3.0, 0.5]
    wanted = (image - image.mean((0, 1))) / image.std((0, 1))
    ours = task.normalized(task.values(image.astype(np.float32)))
    np.testing.assert_allclose(ours, wanted.transpose(2, 0, 1), atol=1e-4)


def test_plans_that_name_any_other_class_are_refused(tmp_path: Path) -> None:
    library("dynamic_network_architectures.architectures.unet")
    nnunet(tmp_path, {**ARCHITECTURE, "network_class_name": "os.system"})
    with pytest.raises(InputError, match=r"name os.system, which is no class of dynamic_network_architectures"):
        load_model(f"nnunet:{tmp_path}")


@pytest.mark.parametrize(
    ("door", "module", "extra"),
    [("smp", "segmentation_models_pytorch", "smp"), ("nnunet", "dynamic_network_architectures", "nnunet")],
)
def test_a_missing_framework_names_its_install_line(
    door: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MachineError, match=rf"pip install 'segedge\[{extra}\]'"):
        load_model(f"{door}:{tmp_path}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nnunet:{0}", r"is no nnU-Net result \(no plans\.json\)"),
        ("monai:{0}", r"is no MONAI bundle \(no configs/inference\.json\)"),
        ("hf:nvidia/segformer-b0", "hf:nvidia/segformer-b0: no such folder, and nothing is downloaded here"),
        ("hf:{0}", r"is no Hugging Face folder \(no config\.json\)"),
        ("nnunet:", "nnunet:: names nothing; write nnunet:FOLDER"),
        ("smp:", "smp:: names nothing; write smp:Unet/resnet34"),
    ],
)
def test_a_wrong_folder_is_told_by_what_it_lacks(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.loading.doors.nnunet.framework", lambda *_: None)
    monkeypatch.setattr("edge.loading.doors.monai_bundle.framework", lambda *_: None)
    with pytest.raises(InputError, match=message):
        load_model(spec.format(tmp_path))


def test_a_bundle_with_yaml_is_told_how_it_becomes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.loading.doors.monai_bundle.framework", lambda *_: None)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.yaml").write_text("network_def: {}")
    with pytest.raises(InputError, match=r"its configs are YAML; write inference\.json"):
        load_model(f"monai:{tmp_path}")
