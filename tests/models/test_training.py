"""The trainer: losses against their definitions, augmentation, resuming, stopping, the record."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train
import training.trainer
from training.augment import Augmentation
from training.data import TrainingImages, load_training_images
from training.folder import find_networks, open_network
from training.losses import LOSSES, MarginalWeightDice, averaged_bce, deep_supervision_bce, lovasz_softmax, soft_dice
from training.recipe import Recipe
from training.serp import SelfEmbedding

from edge.errors import InputError
from edge.images.image_set import load_image_set
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.volumes import blob_volume, write_nifti

MODELS = Path(__file__).resolve().parents[2] / "models"


def run(folder: Path, data: Path, out: Path, *extra: str) -> dict[str, Any]:
    """``python models/train.py`` in this process."""
    argv = [str(folder), "--data", str(data), "--out", str(out), *extra]
    return train.train(train.parse_arguments(argv), argv)


def test_trains_a_dropped_in_network(dropped_in: Path, blobs: Path, tmp_path: Path) -> None:
    record = run(dropped_in, blobs, tmp_path)
    assert record == json.loads((tmp_path / "training.json").read_text())
    assert record["finished"] and record["epochs_done"] == 3
    assert [row["side"] for row in record["curves"]] == [16, 16, 32]
    assert record["data"]["images"] == {"train": 4, "val": 2, "test": 2}
    assert set(record["test"]) == {"dice", "iou", "recall", "precision"}
    assert record["weights"]["bytes"] == (tmp_path / "weights.safetensors").stat().st_size
    assert record["best_epoch"] >= 1
    assert str(tmp_path) not in record["command"] and "--data blobs" in record["command"]


@pytest.mark.slow
def test_learns(dropped_in: Path, blobs: Path, tmp_path: Path) -> None:
    record = run(dropped_in, blobs, tmp_path, "--epochs", "25", "--lr", "0.03", "--ema", "0.8", "--colour", "0")
    assert record["val"]["dice"] > 0.9


@pytest.mark.slow
def test_resuming_repeats_an_uninterrupted_run(
    dropped_in: Path, blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(dropped_in, blobs, tmp_path / "whole")

    calls = []
    original = training.trainer.score

    def power_cut(*arguments: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training.trainer, "score", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run(dropped_in, blobs, tmp_path / "cut")
    resumed = run(dropped_in, blobs, tmp_path / "cut", "--resume")

    def timeless(record: dict[str, Any]) -> list[dict[str, float]]:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in record["curves"]]

    assert timeless(resumed) == timeless(whole)
    assert resumed["weights"]["sha256"] == whole["weights"]["sha256"]


# A process of its own, as a user's: a signal within this one meets whatever compilers other tests have loaded.
SIGNALLED = """
import signal, sys
sys.path.insert(0, sys.argv[1])
import train, training.trainer
from training.losses import LOSSES
calls = []
def signalling(output, masks):
    calls.append(1)
    if len(calls) == 3:  # the first step of the second epoch
        signal.raise_signal(signal.SIGTERM)
    return LOSSES["bce_dice"](output, masks)
training.trainer.LOSSES = {**LOSSES, "bce_dice": signalling}
sys.exit(train.main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_signal_ends_the_run_with_the_best_weights(dropped_in: Path, blobs: Path, tmp_path: Path) -> None:
    given = [MODELS, dropped_in, "--data", blobs, "--out", tmp_path]
    ended = subprocess.run([sys.executable, "-c", SIGNALLED, *map(str, given)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    stopped = json.loads((tmp_path / "training.json").read_text())
    assert not stopped["finished"] and stopped["epochs_done"] == 1 and stopped["best_epoch"] == 1

    exported = run(dropped_in, blobs, tmp_path, "--export-only")
    assert exported["weights"]["sha256"] == stopped["weights"]["sha256"]
    assert exported["test"] == stopped["test"]


def test_resuming_refuses_another_recipe(dropped_in: Path, blobs: Path, tmp_path: Path) -> None:
    run(dropped_in, blobs, tmp_path, "--epochs", "1", "--finetune-epochs", "0")
    with pytest.raises(InputError, match=r"lr = 0\.002"):
        run(dropped_in, blobs, tmp_path, "--epochs", "1", "--finetune-epochs", "0", "--lr", "0.1", "--resume")


def test_starts_from_given_weights(dropped_in: Path, blobs: Path, tmp_path: Path) -> None:
    run(dropped_in, blobs, tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    second = run(dropped_in, blobs, tmp_path / "second", "--init", str(weights), "--serp", "--epochs", "1")
    assert second["recipe"]["serp"] is True
    assert second["initial"]["record"]["recipe"]["epochs"] == 2


def test_mistakes_are_one_sentence(blobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["nonesuch", "--data", str(blobs), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "litenext" in error and "Traceback" not in error
    assert train.main([str(MODELS / "unet"), "--data", str(tmp_path / "gone"), "--out", str(tmp_path)]) == 2


@pytest.mark.parametrize("name", find_networks(MODELS))
def test_recipes_are_sound(name: str) -> None:
    opened = open_network(MODELS / name)
    recipe = Recipe.from_tables(opened.recipe, {}, name)
    assert recipe.loss in LOSSES
    rates = [recipe.learning_rate(epoch) for epoch in range(recipe.total_epochs)]
    assert max(rates) <= recipe.lr and min(rates) > 0


def test_unknown_training_key_is_refused() -> None:
    with pytest.raises(InputError, match="epoch_count"):
        Recipe.from_tables({"loss": "bce", "epoch_count": 3}, {}, "model.toml")


def test_cross_entropy_of_two_maps_is_binary_cross_entropy_of_their_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 2, 8, 8, generator=generator)
    masks = (torch.rand(2, 8, 8, generator=generator) > 0.5).to(torch.uint8)
    expected = LOSSES["bce"](maps[:, 1:] - maps[:, :1], masks)
    assert float(LOSSES["cross_entropy"](maps, masks)) == pytest.approx(float(expected), rel=1e-5)


def test_lovasz_of_hard_masks_is_the_jaccard_loss() -> None:
    masks = torch.tensor([[[0, 1, 1, 0], [1, 0, 0, 1]]], dtype=torch.uint8)
    found = torch.tensor([[[0, 1, 0, 0], [1, 1, 0, 1]]])
    logits = torch.stack([1.0 - found, found.float()], dim=1) * 1e4
    # foreground: 3 of 5 in common; background: 3 of 5
    assert float(lovasz_softmax(logits, masks)) == pytest.approx(1.0 - 0.6)


def test_marginal_weights_follow_their_definition() -> None:
    target = torch.zeros(1, 1, 24, 24)
    target[..., 6:18, 6:18] = 1.0
    weights = MarginalWeightDice(inside=3.0, background=5.0, margin=2.0).weights(target)[0, 0]
    assert weights[12, 12] == 3.0  # the whole window is object
    assert weights[7, 12] == 2.0 and weights[4, 12] == 2.0  # inside and outside the edge
    assert weights[0, 0] == 5.0


def test_averaged_loss_follows_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 1, 8, 8, generator=generator) * 4 for _ in range(4)]
    masks = (torch.rand(2, 8, 8, generator=generator) < 0.5).to(torch.uint8)
    mean = torch.stack(maps).sigmoid().mean(0)[:, 0]
    expected = torch.nn.functional.binary_cross_entropy(mean, masks.float())
    torch.testing.assert_close(averaged_bce(maps, masks), expected)
    total = sum(LOSSES["bce"](m, masks) for m in maps) + expected
    torch.testing.assert_close(deep_supervision_bce(maps, masks), total)


def test_soft_dice_of_an_empty_image_is_zero_loss() -> None:
    empty = torch.zeros(1, 8, 8)
    assert float(soft_dice(torch.full((1, 8, 8), -50.0), empty)) == pytest.approx(0.0, abs=1e-6)


def test_augmentation_moves_image_and_mask_together() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(6, 32, 32, generator=generator) < 0.5).to(torch.uint8)
    images = masks[:, None].float()
    still = Augmentation(zoom=1.0, affine=0.0, colour=0.0, invert=0.0, low=0.0, high=1.0)
    cut, labels = still(images, masks, (16, 16), generator)
    assert cut.shape == (6, 1, 16, 16) and labels.shape == (6, 16, 16)
    torch.testing.assert_close(cut[:, 0], labels.float(), atol=1e-4, rtol=0)  # whole pixels, no blur
    assert 0.3 < float(labels.float().mean()) < 0.7

    free = Augmentation(zoom=1.4, affine=1.0, colour=1.0, invert=0.2, low=0.0, high=1.0)
    cut, labels = free(images, masks, (24, 32), generator)
    assert cut.shape == (6, 1, 24, 32)
    assert float(cut.min()) >= 0.0 and float(cut.max()) <= 1.0 and set(labels.unique().tolist()) <= {0, 1}


def test_rare_groups_are_drawn_more_often() -> None:
    groups = torch.tensor([0] * 90 + [1] * 10)
    images = TrainingImages(torch.zeros(100, 1, 2, 2), torch.zeros(100, 2, 2), groups)
    order = images.epoch_order(0.5, torch.Generator().manual_seed(0))
    share = float((groups[order] == 1).float().mean())
    assert share == pytest.approx(0.25, abs=0.01)  # sqrt(10) / (sqrt(90) + sqrt(10))
    assert sorted(images.epoch_order(1.0, torch.Generator()).tolist()) == list(range(100))


def test_training_images_are_preprocessed_by_the_task(dropped_in: Path, blobs: Path) -> None:
    task = open_network(dropped_in).folder.task
    images = load_training_images(load_image_set(blobs).split("train"), task, "modality")
    assert images.inputs.shape == (4, 3, 32, 32) and images.inputs.dtype == torch.float16
    assert images.masks.shape == (4, 32, 32) and set(images.masks.unique().tolist()) == {0, 1}


def test_self_embedding_has_a_slow_teacher(dropped_in: Path) -> None:
    torch.manual_seed(0)
    network = open_network(dropped_in).build()
    probe = torch.rand(2, 3, 16, 16)
    serp = SelfEmbedding(network, probe)
    loss = serp(network, probe, probe.flip(3))
    loss.backward()
    before = [p.clone() for p in serp.encoder.parameters()]
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    serp.update(network)
    moved = (next(serp.encoder.parameters()) - before[0]).mean()
    assert float(moved) == pytest.approx(0.01, rel=1e-3)
    assert all(p.grad is None for p in serp.encoder.parameters())


def test_a_further_checkpoint_brings_its_own_task() -> None:
    opened = open_network(MODELS / "litenext", "sunnybrook")
    assert opened.folder.task.classes == ("left ventricle",)
    assert opened.folder.checkpoint.name == "weights-sunnybrook.safetensors"
    assert opened.folder.name == "litenext@sunnybrook"


def test_volumes_are_trained_on_slice_by_slice_where_the_network_sees_them(tmp_path: Path) -> None:
    values, mask = blob_volume(6, 40)
    for name, array in (("case", values), ("mask", mask)):
        write_nifti(tmp_path / f"{name}.nii.gz", array.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    (tmp_path / "manifest.csv").write_text("image,mask,split\ncase.nii.gz,mask.nii.gz,train\n")
    task = SegmentationTask(
        size=(48, 32), channels="grey", fit="crop", scale=1.0, intensity=Intensity(range=(-50, 150))
    )
    images = load_training_images(load_image_set(tmp_path), task, "")
    assert images.inputs.shape == (6, 1, 48, 32)
    expected = np.zeros((6, 48, 32), np.uint8)
    expected[:, 4:44] = mask[:, :, 4:36]  # padded above and below, cut left and right
    np.testing.assert_array_equal(images.masks.numpy(), expected)
    with pytest.raises(InputError, match="training counts every pixel"):
        load_training_images(load_image_set(tmp_path), replace(task, ignore=255), "")
