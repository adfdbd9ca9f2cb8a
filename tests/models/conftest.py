"""Every network in ``models/``, and one that a test drops in, behind the same fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "models"
sys.path.insert(0, str(MODELS))  # as ``python models/train.py`` has it

torch = pytest.importorskip("torch")

from training.folder import TrainingFolder, find_networks, open_network  # noqa: E402

from tests.fixtures.network_examples import each_network, example  # noqa: E402

DROPPED_IN = "dropped_in"

NETWORK = '''"""A network dropped in by a test."""

import torch
from torch import nn


class Tiny(nn.Module):
    """``N x 3 x H x W`` -> logits ``N x 1 x H x W``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def encode(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [self.body[:3](image)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.body(image)


def build(width: int = 4) -> nn.Module:
    return Tiny(width)
'''

DESCRIPTION = """
[model]
name = "dropped_in"
options = { width = 6 }

[task]
size = [32, 32]
channels = "rgb"
classes = ["blob"]

[paper]
parameters = 181
macs = 172032
input = [1, 3, 32, 32]

[training]
loss = "bce_dice"
epochs = 2
finetune_epochs = 1
crop = 16
batch = 2
finetune_batch = 2
amp = false
"""


@pytest.fixture(scope="session")
def dropped_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a network nobody has seen."""
    folder = tmp_path_factory.mktemp("models") / DROPPED_IN
    folder.mkdir()
    (folder / "network.py").write_text(NETWORK, encoding="utf-8")
    (folder / "model.toml").write_text(DESCRIPTION, encoding="utf-8")
    return folder


@pytest.fixture(scope="session", params=each_network([*find_networks(MODELS), DROPPED_IN]))
def opened(request: pytest.FixtureRequest, dropped_in: Path) -> TrainingFolder:
    """Each network folder in turn."""
    return open_network(dropped_in if request.param == DROPPED_IN else MODELS / request.param)


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic images of 40x36 pixels, a bright disc each, with their masks: 4 train, 2 val, 2 test."""
    root = tmp_path_factory.mktemp("data") / "blobs"
    generator = np.random.default_rng(0)
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rows = ["image,mask,split"]
    grid = np.mgrid[0:40, 0:36]
    for index, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        centre = generator.integers(12, 24, size=(2, 1, 1))
        disc = ((grid - centre) ** 2).sum(axis=0) < 64
        noise = generator.integers(0, 80, size=(40, 36, 3))
        Image.fromarray((noise + 150 * disc[..., None]).astype(np.uint8)).save(root / f"images/{index}.png")
        Image.fromarray((255 * disc).astype(np.uint8)).save(root / f"masks/{index}.png")
        rows.append(f"images/{index}.png,masks/{index}.png,{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def settled(opened: TrainingFolder) -> torch.nn.Module:
    """The untrained network in evaluation mode, its batch norms having seen images.  Do not change it."""
    torch.manual_seed(0)
    network = opened.build().train()
    with torch.no_grad():
        for batch in (2, 3):
            network(example(opened, batch))
    return network.eval()
