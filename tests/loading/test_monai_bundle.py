"""MONAI bundles that the real library makes: network, preprocessing and windows as their configs say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.loading import load_model
from edge.pipeline.init import starter_task
from edge.pipeline.starter import GUESS

torch = pytest.importorskip("torch")


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


@pytest.mark.slow
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
@pytest.mark.slow
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


def test_a_bundle_with_yaml_is_told_how_it_becomes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.loading.doors.monai_bundle.framework", lambda *_: None)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.yaml").write_text("network_def: {}")
    with pytest.raises(InputError, match=r"its configs are YAML; write inference\.json"):
        load_model(f"monai:{tmp_path}")
