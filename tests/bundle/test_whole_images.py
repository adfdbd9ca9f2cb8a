"""Images in tiles, of more than 8 bits, of many channels: in a bundle as decoded, and on a board the same masks."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge.accuracy.evaluate import evaluate, evaluate_shown
from edge.bundle.contents import image_files
from edge.device.pictures import bundled, bundled_labels, bundled_reference, supplied
from edge.errors import InputError
from edge.images.image_set import ImageSet
from edge.task.intensity import Intensity
from edge.task.plane import Plane
from edge.task.task import SegmentationTask
from edge.task.tiles import Tile
from tests.fixtures.discs import disc_network

SIZE = (16, 24)
CT = Intensity(window=(40.0, 400.0))
TASKS = {
    "tiles of levels": (np.uint8, SegmentationTask(size=SIZE, fit="tile")),
    "tiles of a window, in means": (
        np.int16,
        SegmentationTask(
            size=SIZE, channels="grey", scale=1.0, intensity=CT, fit="tile", tile=Tile(overlap=0.5, blend="mean")
        ),
    ),
    "tiles stretched by their image": (np.uint8, SegmentationTask(size=SIZE, fit="tile", normalize="minmax")),
    "two sequences, each by its volume": (
        np.uint16,
        SegmentationTask(
            size=SIZE,
            channels=("t1", "t2"),
            scale=1.0,
            normalize="zscore",
            intensity=Intensity(percentile=(1.0, 99.0), scope="volume"),
            fit="letterbox",
        ),
    ),
    "overlapping labels in tiles": (
        np.float32,
        SegmentationTask(
            size=SIZE,
            channels=("a", "b", "c"),
            scale=1.0,
            normalize="minmax",
            intensity=Intensity(),
            classes=("whole", "core"),
            overlapping=True,
            thresholds=(0.5, 0.6),
            fit="tile",
        ),
    ),
    "classes in tiles": (
        np.uint8,
        SegmentationTask(size=SIZE, classes=("ground", "a", "b"), activation="softmax", fit="tile"),
    ),
}


@dataclass(frozen=True)
class One:
    """An image that is held in memory, as a set's sample."""

    name: str
    plane: Plane
    truth: np.ndarray
    volume: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        return Path(self.name)

    def pair(self, task: SegmentationTask) -> tuple[Plane, np.ndarray]:
        return self.plane, self.truth

    def content_sha256(self) -> bytes:
        return hashlib.sha256(self.plane.values.tobytes() + self.truth.tobytes()).digest()


def images_of(dtype: type, task: SegmentationTask) -> ImageSet:
    """Six of odd sizes, smaller and larger than a tile."""
    rng = np.random.default_rng(4)
    samples = []
    for index, shape in enumerate(((9, 11), (16, 24), (37, 41), (50, 23), (17, 70), (64, 64))):
        values = rng.normal(120, 90, (*shape, task.in_channels))
        wide = values.clip(0, 255) if dtype is np.uint8 else values.clip(0, None) if dtype is np.uint16 else values
        plane = Plane(wide.astype(dtype), None, f"s{index}", f"s{index}.png", "v" if task.intensity else "")
        found = task.statistics(lambda plane=plane: iter([plane])) if task.intensity else None
        truth = rng.integers(0, 2, (len(task.classes), *shape) if task.overlapping else shape).astype(np.uint8)
        samples.append(One(f"s{index}", replace(plane, statistics=found), truth))
    return ImageSet("six", Path("six"), tuple(samples))  # type: ignore[arg-type]


def network(task: SegmentationTask):
    """A map for each class from sums over the channels, and a filter that sees its neighbours."""

    def run(batch: np.ndarray) -> np.ndarray:
        total = batch.sum(axis=1, keepdims=True).astype(np.float32)
        near = total - np.roll(total, 1, axis=3) * np.float32(0.5)
        return np.concatenate([near * np.float32(k + 1) - np.float32(0.3 * k) for k in range(task.maps)], axis=1)

    return run


@pytest.mark.parametrize("name", TASKS)
def test_a_board_sees_and_finds_what_the_workstation_does(name: str, tmp_path: Path) -> None:
    dtype, task = TASKS[name]
    images, run = images_of(dtype, task), network(task)
    home = evaluate(run, images, task)
    files, data, inputs = image_files(images, home.names, np.asarray(home.outputs), task, None, None, run)
    for path, contents in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(contents)
    manifest = SimpleNamespace(data=json.loads(json.dumps(data)), task=task.to_table())
    pictures = bundled(tmp_path, manifest)  # type: ignore[arg-type]
    for index, sample in enumerate(images):
        ours = pictures.input(index, task)
        np.testing.assert_array_equal(ours, task.preprocess(sample.pair(task)[0]))
        if index in inputs:
            np.testing.assert_array_equal(ours, inputs[index])
    there = evaluate_shown(run, pictures.shown(task, pictures.masks), task, pictures.columns, None, home.outputs)
    for ours, theirs in zip(there.labels, home.labels, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert there.sqnr_db == 200.0 and (there.counts.tp == home.counts.tp).all()
    labels = bundled_labels(tmp_path, task, len(pictures))
    assert (labels is not None) == (task.fit == "tile")
    for ours, theirs in zip(labels or (), home.labels, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(bundled_reference(tmp_path), home.outputs)


def test_a_board_takes_its_own_images_of_16_bits_and_says_what_it_cannot_score(tmp_path: Path) -> None:
    _, task = TASKS["tiles of a window, in means"]
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    values = rng.integers(-500, 900, (40, 33)).astype(np.int16)
    np.save(tmp_path / "images/a.npy", values)
    pictures = supplied(tmp_path, task)
    np.testing.assert_array_equal(pictures.input(0, task), task.preprocess(values))
    (shown,) = pictures.shown(task, None)
    run = network(task)
    np.testing.assert_array_equal(shown.labels(run, run(shown.input[None])[0]), task.segment(run, values))
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks/a.npy", np.zeros((40, 33), np.uint8))
    ignoring = SegmentationTask(**{**vars(task), "ignore": 255})
    with pytest.raises(InputError, match="which masks on a device are not read by; leave masks/ out"):
        supplied(tmp_path, ignoring)


@pytest.mark.slow
def test_edge_verify_proves_a_bundle_of_tiles(tmp_path: Path) -> None:
    """The commands that a user types: deploy, bundle, verify; the board's masks are the workstation's."""
    task = SegmentationTask(
        size=(32, 32), scale=1.0, intensity=Intensity(window=(600.0, 1200.0)), fit="tile", classes=("disc",)
    )
    disc_network(task).save(tmp_path / "net.onnx")
    rng = np.random.default_rng(0)
    rows = ["image,mask,split"]
    for index, split in enumerate(["train"] * 3 + ["val"] * 2 + ["test"] * 4):
        height, width = 40 + 3 * index, 75 - 4 * index
        y, x = np.ogrid[:height, :width]
        mask = (y - height / 2) ** 2 + (x - width / 2 - index) ** 2 < 100
        image = np.where(mask, 900, 250)[..., None] + rng.integers(-90, 90, (height, width, 3))
        np.save(tmp_path / f"i{index}.npy", image.astype(np.uint16))
        np.save(tmp_path / f"m{index}.npy", mask.astype(np.uint8))
        rows.append(f"i{index}.npy,m{index}.npy,{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")

    def edge(*words: object) -> None:
        line = [sys.executable, "-m", "edge.cli.app", *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    fast = ("--precisions", "fp32", "--seconds", "0.02", "--allow-small", "--gate", "99")
    edge("deploy", "net.onnx", "--data", ".", "--out", "run", *fast)
    edge("bundle", "run", "--target", "cpu", "--data", ".", "--allow-small", "--out", "kit.tar.gz")
    edge("verify", "kit.tar.gz", "--out", "board", "--seconds", "0.02", "--allow-small")
    home, board = (json.loads((tmp_path / place / "report.json").read_text()) for place in ("run", "board"))
    ours, theirs = (report["engines"][0]["accuracy"] for report in (board, home))
    for key in ("dice", "iou", "agreement", "images"):
        assert ours[key] == theirs[key], key
    assert ours["agreement"] == 1.0 and ours["dice"]["mean"] > 0.9
