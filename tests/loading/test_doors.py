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
    [
        ("smp", "segmentation_models_pytorch", "smp"),
        ("nnunet", "dynamic_network_architectures", "nnunet"),
        *((door, "torch", f"torch,{door}") for door in ("hf", "monai", "nnunet", "smp")),
    ],
)
def test_a_missing_framework_names_its_install_line(
    door: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == module != "torch"]:
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
