"""One suite that every network passes, whatever folder it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from training.folder import TrainingFolder, find_networks, open_network
from training.losses import LOSSES
from training.weights import half_kernels, load_weights, save_weights

from edge.files import read_toml
from edge.loading.folder import MANIFEST, import_network
from edge.loading.weights import load_weights as load_checkpoint
from tests.fixtures.network_examples import SIDE, each_network, example

MODELS = Path(__file__).resolve().parents[2] / "models"

# Trainable parameters, and multiply-accumulates (convolution, linear, matmul) at the given input: what the papers'
# architectures come to.  Option sets beside the default show that the options mean what they say.
PUBLISHED: list[tuple[str, dict[str, Any], int, float | None, tuple[int, int, int]]] = [
    ("unet", {}, 482_737, None, (3, 256, 256)),
    ("litenext", {}, 711_201, 0.4123e9, (3, 256, 256)),
    ("litenext", {"far_kernel": 3}, 701_601, 0.3926e9, (3, 256, 256)),
    ("litenext", {"far_kernel": [5, 5, 5, 5]}, 705_441, 0.4005e9, (3, 256, 256)),
    ("lanet", {}, 5_483_642, 2.961e9, (3, 256, 256)),
    ("lightawnet", {}, 2_838_179, 0.998e9, (1, 224, 224)),
    ("lightawnet", {"in_channels": 3}, 2_839_569, 1.340e9, (3, 256, 256)),
    ("lightawnet", {"form": "mixed"}, 2_838_179, 3.120e9, (1, 224, 224)),
    ("drrmsan", {}, 8_180_867, 18.33e9, (3, 256, 256)),
    ("drrmsan", {"output": "full"}, 8_180_867, 15.67e9, (3, 256, 256)),
    ("drrmsan", {"profile": "A"}, 26_157_827, 68.16e9, (3, 256, 256)),
]


def trainable(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Multiply-accumulates of one forward pass, functional convolutions and matrix products included.

    On the meta device: shapes only, no arithmetic.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval().to("meta")(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() / 2


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_finds_every_network() -> None:
    assert {"unet", "litenext", "lanet", "lightawnet", "drrmsan"} <= set(find_networks(MODELS))


@pytest.mark.parametrize(("name", "options", "parameters", "macs", "shape"), PUBLISHED)
@pytest.mark.slow
def test_matches_the_paper(
    name: str, options: dict[str, Any], parameters: int, macs: float | None, shape: tuple[int, int, int]
) -> None:
    with torch.device("meta"):
        network = import_network(MODELS / name).build(**options)
    assert trainable(network) == parameters
    if macs is not None:
        assert count_macs(network, shape) == pytest.approx(macs, rel=0.01)


def test_description_matches_the_network(opened: TrainingFolder) -> None:
    paper = opened.folder.paper
    with torch.device("meta"):
        network = opened.build()
    assert trainable(network) == paper["parameters"]
    assert count_macs(network, tuple(paper["input"][1:])) == pytest.approx(paper["macs"], rel=1e-9)


def test_gradients_are_finite(opened: TrainingFolder) -> None:
    torch.manual_seed(0)
    network = opened.build().train()
    masks = (torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) < 0.3).to(torch.uint8)
    loss = LOSSES[opened.recipe["loss"]](network(example(opened, 2)), masks)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("height", "width"), [(64, 128), (96, 96)])
def test_takes_other_resolutions(opened: TrainingFolder, height: int, width: int) -> None:
    network = opened.build().eval()
    with torch.no_grad():
        output = network(example(opened, 1, height, width))
    assert output.shape == (1, opened.folder.task.maps, height, width)


def test_images_of_a_batch_do_not_mix(opened: TrainingFolder, settled: nn.Module) -> None:
    network, images = settled, example(opened, 3)
    with torch.no_grad():
        together = network(images).numpy()
        alone = np.concatenate([network(image[None]).numpy() for image in images])
    assert relative_difference(together, alone) < 1e-5


def test_output_is_what_the_task_says(opened: TrainingFolder, settled: nn.Module) -> None:
    task, network = opened.folder.task, settled
    with torch.no_grad():
        output = network(example(opened, 1)).numpy()
    assert output.shape[1] == task.maps
    if task.output == "probabilities":
        assert 0.0 <= output.min() <= output.max() <= 1.0
    assert set(np.unique(task.decide(output[0]))) <= set(range(max(2, task.maps)))


def test_weights_survive_a_round_trip(opened: TrainingFolder, settled: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(settled.state_dict(), path)
    fresh = opened.build().eval()
    fresh.load_state_dict(load_checkpoint(path, fresh))
    with torch.no_grad():
        assert torch.equal(fresh(example(opened, 1)), settled(example(opened, 1)))


def test_half_kernels_keep_statistics_whole(opened: TrainingFolder, settled: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(half_kernels(settled.state_dict()), path)
    stored = load_file(path)
    norms = {name for name, module in settled.named_modules() if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)}
    assert norms
    for name, value in stored.items():
        if name.rpartition(".")[0] in norms and value.is_floating_point():
            assert value.dtype == torch.float32, name
    assert any(value.dtype == torch.float16 for value in stored.values())
    opened.build().load_state_dict(load_weights(path))


def exportable(opened: TrainingFolder, network: nn.Module) -> nn.Module:
    """The network in the form that exports with any batch: the default, or the alternative marked so."""
    alternatives = read_toml(opened.folder.folder / MANIFEST)["model"].get("alternatives", {})
    for alternative in alternatives.values():
        if alternative.get("dynamic_batch"):
            other = import_network(opened.folder.folder).build(**alternative["options"])
            other.load_state_dict(network.state_dict())
            return other.eval()
    return network


def run_onnx(path: Path, images: Tensor) -> np.ndarray:
    """The exported graph through ONNX Runtime, graph optimizations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def export(network: nn.Module, images: Tensor, path: Path, dynamic: bool) -> None:
    """Export as the toolkit does."""
    shapes = ({0: torch.export.Dim("batch", min=1, max=8)},) if dynamic else None
    torch.onnx.export(
        network,
        (images,),
        path,
        dynamo=True,
        opset_version=20,
        external_data=False,
        dynamic_shapes=shapes,
        verbose=False,
    )


@pytest.mark.slow
def test_exports_with_a_dynamic_batch(opened: TrainingFolder, settled: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(exportable(opened, settled), example(opened, 2), path, dynamic=True)
    for batch in (1, 3):
        images = example(opened, batch)
        with torch.no_grad():
            reference = settled(images).numpy()
        assert relative_difference(run_onnx(path, images), reference) <= 1e-5


@pytest.mark.slow
def test_lightawnet_forms_are_equal(tmp_path: Path) -> None:
    opened = open_network(MODELS / "lightawnet")
    torch.manual_seed(0)
    aggregated, images = opened.build().train(), example(opened, 1)
    with torch.no_grad():
        aggregated(example(opened, 2))  # gives the norms statistics
    aggregated.eval()
    mixed = import_network(MODELS / "lightawnet").build(form="mixed").eval()
    mixed.load_state_dict(aggregated.state_dict())
    path = tmp_path / "aggregated.onnx"
    export(aggregated, images, path, dynamic=False)
    with torch.no_grad():
        reference = aggregated(images).numpy()
        assert relative_difference(mixed(images).numpy(), reference) <= 1e-5
    assert relative_difference(run_onnx(path, images), reference) <= 1e-5


def test_drrmsan_minimum_ignores_zeros() -> None:
    level = import_network(MODELS / "drrmsan").PyramidLevel()
    image = torch.tensor([[[[0.0, 0.3, 0.0, 0.0], [0.7, 0.2, 0.0, 0.0]]]])
    average, maximum, minimum = level(image, image, image)
    torch.testing.assert_close(average.flatten(), torch.tensor([0.3, 0.0]))
    torch.testing.assert_close(maximum.flatten(), torch.tensor([0.7, 0.0]))
    torch.testing.assert_close(minimum.flatten(), torch.tensor([0.2, 0.0]))


def test_lanet_patches_fold_back() -> None:
    module = import_network(MODELS / "lanet")
    image = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)
    tokens = module.unfold_patches(image)
    assert tokens.shape == (8, 6, 3)
    # batch index b * 4 + row parity * 2 + column parity, sequence index patch row * W/2 + patch column
    torch.testing.assert_close(tokens[4 + 2 + 1, 1 * 3 + 2], image[1, :, 3, 5])
    torch.testing.assert_close(module.fold_patches(tokens, 4, 6), image)


def test_shipped_weights_load(opened: TrainingFolder) -> None:
    folder = opened.folder.folder
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pytest.skip(f"{opened.folder.name} has no checkpoint")
    for file in files:
        opened.build().load_state_dict(load_checkpoint(file, opened.build()))


@pytest.mark.parametrize("name", each_network(["unet", "litenext", "lanet", "lightawnet", "drrmsan"]))
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (4, 3)])
def test_any_number_of_channels_and_classes(name: str, channels: int, classes: int) -> None:
    network = import_network(MODELS / name).build(in_channels=channels, classes=classes).eval()
    with torch.inference_mode():
        maps = network(torch.zeros(1, channels, 64, 64))
    assert maps.shape == (1, classes, 64, 64)
