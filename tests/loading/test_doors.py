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
from edge.loading import load_model
from edge.pipeline.init import starter_task
from edge.pipeline.starter import GUESS
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
