"""Checkpoints as training code leaves them: all of them are the same weights."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from edge.loading import load_model
from edge.loading.weights import load_weights
from edge.safety.limits import Limits, limited
from tests.fixtures.command import edge
from tests.fixtures.runtime_kit import ROOT

torch = pytest.importorskip("torch")


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def prefixed(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: tensor for name, tensor in state.items()}


LEFT = {
    "plain": lambda s: s,
    "parallel": lambda s: prefixed("module.", s),
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "compiled-in-parallel": lambda s: prefixed("module._orig_mod.", s),
    "lightning": lambda s: {"epoch": 9, "state_dict": prefixed("model.", s), "loops": {}, "optimizer_states": []},
    "lightning-with-a-loss": lambda s: {"state_dict": {**prefixed("net.", s), "loss.weight": torch.ones(2)}},
    "nnunet": lambda s: {"network_weights": s, "optimizer_state": {}, "trainer_name": "nnUNetTrainer"},
    "average": lambda s: {"ema": {"n_averaged": torch.tensor(3), **prefixed("module.", s)}},
    "nested": lambda s: {"model": {"state_dict": s}, "step": 4},
}


@pytest.mark.parametrize("how", LEFT)
def test_wrapped_checkpoints_are_the_network_itself(how: str, tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save(LEFT[how](state), tmp_path / "w.pt")
    loaded = load_weights(tmp_path / "w.pt", network())
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[name], state[name]) for name in state)


def test_names_that_begin_as_a_wrapper_stay_where_the_network_has_them(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

    torch.save(Net().state_dict(), tmp_path / "w.pt")
    assert "model.0.weight" in load_weights(tmp_path / "w.pt", Net())


def test_another_network_is_still_refused(tmp_path: Path) -> None:
    torch.save(prefixed("module.", torch.nn.Conv2d(3, 4, 3).state_dict()), tmp_path / "w.pt")
    with pytest.raises(InputError, match="weights of another architecture"):
        load_weights(tmp_path / "w.pt", network())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".safetensors"])
def test_a_checkpoint_alone_says_how_to_name_its_network(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"best{suffix}"
    torch.save(network().state_dict(), path)
    with pytest.raises(InputError, match=r"weights without their network; give .* package.module:callable, with --w"):
        load_model(str(path))


def test_numbers_of_a_training_log_beside_the_weights_are_read_and_code_is_not(tmp_path: Path) -> None:
    network = torch.nn.Conv2d(1, 1, 1)
    log = {"dice": [np.float64(0.5), np.float32(0.25)], "step": np.int64(3), "best": np.bool_(True)}
    torch.save({"state_dict": network.state_dict(), "logging": log}, tmp_path / "w.pt")
    assert torch.equal(load_weights(tmp_path / "w.pt", network)["weight"], network.weight)
    torch.save({"state_dict": network.state_dict(), "callback": _Callback()}, tmp_path / "code.pt")
    with pytest.raises(InputError, match="holds pickled Python objects, which can run code when loaded"):
        load_weights(tmp_path / "code.pt", network)


class _Callback:
    """What no checkpoint may bring."""


def test_a_checkpoint_that_inflates_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    state = {"w": torch.zeros(1 << 20)}
    torch.save(state, tmp_path / "w.pt")
    with limited(Limits(inflated_bytes=100_000)), pytest.raises(InputError, match="another architecture"):
        load_weights(tmp_path / "w.pt", network())  # as PyTorch packs it: no larger than the file
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    assert (tmp_path / "b.pt").stat().st_size < 20_000
    with limited(Limits(inflated_bytes=100_000)), pytest.raises(InputError, match=r"b\.pt: inflates to 4\d{6} bytes"):
        load_weights(tmp_path / "b.pt", network())


@pytest.mark.slow
def test_the_users_command_refuses_such_a_checkpoint(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "models" / "unet", tmp_path / "unet"))
    with zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("b/data.pkl", bytes(1 << 20))
    words = ("fuse", folder, "--weights", tmp_path / "b.pt", "--out", tmp_path / "out.onnx")
    done = edge("--limit", "inflated_bytes=100000", *words)
    assert done.returncode == 2 and "b.pt: inflates to 1048576 bytes, more than the 100000" in done.stderr
