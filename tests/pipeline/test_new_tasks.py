"""Tasks that speak of more than 8-bit stretched pictures go through the whole pipeline, by the user's own commands."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto
from PIL import Image

from edge.backends.engine import read_engine
from edge.graph.model import Model
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from edge.task.tiles import Tile
from tests.fixtures.command import edge
from tests.fixtures.discs import TASK, disc_network

pytestmark = pytest.mark.usefixtures("without_plots")

RANGE = (900.0, 2300.0)
WINDOWED = replace(TASK, scale=1.0, intensity=Intensity(range=RANGE))


def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = edge(*words)
    assert done.returncode == code, done.stderr
    return done


def write_slices(root: Path, by_hand: bool = False, counts: tuple[int, int, int] = (8, 4, 24)) -> Path:
    """Discs of 12-bit values, as 16-bit PNG, or windowed by hand to float arrays."""
    random = np.random.default_rng(3)
    rows = ["image,mask,split"]
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        for index in range(count):
            height, width = (int(side) for side in random.integers(24, 60, 2))
            y, x = np.ogrid[:height, :width]
            cy, cx = random.uniform(8, height - 8), random.uniform(8, width - 8)
            mask = (y - cy) ** 2 + (x - cx) ** 2 < random.uniform(5, 9) ** 2
            values = (np.where(mask, 2000, 1150) + random.integers(-90, 90, mask.shape)).astype(np.uint16)
            stem, (low, high) = f"{split}{index:02}", RANGE
            if by_hand:
                unit = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1).astype(np.float32)
                np.save(root / "images" / f"{stem}.npy", unit)
            else:
                Image.fromarray(values).save(root / "images" / f"{stem}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / "masks" / f"{stem}.png")
            rows.append(f"images/{stem}.{'npy' if by_hand else 'png'},masks/{stem}.png,{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def deploy(folder: Path, model: Model, data: Path) -> dict[str, object]:
    """``edge deploy``, and its report."""
    network = model.save(folder / "net.onnx")
    run(
        "deploy", network, "--data", data, "--out", folder / "run", "--precisions", "fp32,int8",
        "--seconds", "0.05", "--budget", "2", "--quiet",
    )  # fmt: skip
    return json.loads((folder / "run" / "report.json").read_text())


def masks(folder: Path, data: Path, names: str = "fp32") -> dict[str, np.ndarray]:
    """``edge segment`` over the test split."""
    images = sorted((data / "images").glob("test*"))
    run("segment", folder / "run" / "engines" / names, *images, "--out", folder / "masks", "--quiet")
    return {path.stem: np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())}


@pytest.mark.slow
def test_twelve_bits_windowed_by_the_task_are_those_windowed_by_hand(tmp_path: Path) -> None:
    stored, by_hand = write_slices(tmp_path / "stored"), write_slices(tmp_path / "by-hand", by_hand=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    report = deploy(tmp_path / "a", disc_network(WINDOWED), stored)
    assert report["status"] == "passed"
    assert report["reference"]["dice"] > 0.8  # type: ignore[index]
    deploy(tmp_path / "b", disc_network(replace(TASK, scale=1.0, intensity=Intensity())), by_hand)
    ours, theirs = masks(tmp_path / "a", stored), masks(tmp_path / "b", by_hand)
    assert len(ours) == 24 and ours.keys() == theirs.keys()
    for name, mask in ours.items():
        assert np.array_equal(mask, theirs[name]), name


def test_twelve_bits_under_a_task_of_eight_say_what_to_paste(tmp_path: Path) -> None:
    data = write_slices(tmp_path / "set", counts=(2, 1, 2))
    network = disc_network().save(tmp_path / "net.onnx")
    said = run("check", network, "--data", data, code=2).stderr
    assert "test00.png: holds uint16, 1" in said and "[task.intensity] range = [0, 4095]" in said
    assert len(said.strip().splitlines()) == 1


def overlapping_network(task: SegmentationTask) -> Model:
    """The discs' map twice: the second class where the first is by far."""
    model = disc_network(replace(task, overlapping=False, thresholds=(), classes=("disc",)))
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    shift = onnx.numpy_helper.from_array(np.array([0.0, -1.0], np.float32).reshape(1, 2, 1, 1), "shift")
    proto.graph.initializer.append(shift)
    proto.graph.node[-1].output[0] = "one"
    proto.graph.node.append(oh.make_node("Add", ["one", "shift"], ["output"], "shift/Add"))
    height, width = task.size
    del proto.graph.output[:]
    proto.graph.output.append(oh.make_tensor_value_info("output", TensorProto.FLOAT, [1, 2, height, width]))
    return Model(proto, task, "overlapping", "overlapping", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"fit": "tile", "tile": Tile(0.25), "intensity": WINDOWED.intensity},
        {"fit": "letterbox", "normalize": "minmax", "intensity": Intensity(percentile=(1.0, 99.0), scope="set")},
    ],
    ids=("tile", "letterbox-set"),
)
def test_fits_deploy_and_segment(tmp_path: Path, keys: dict[str, object]) -> None:
    data = write_slices(tmp_path / "set")
    task = replace(TASK, scale=1.0, **keys)  # type: ignore[arg-type]
    report = deploy(tmp_path, disc_network(task), data)
    assert report["reference"]["dice"] > 0.8  # type: ignore[index]
    assert report["status"] == "passed", report
    engine = read_engine(tmp_path / "run" / "engines" / "fp32")
    assert engine.task.frozen
    if task.intensity and task.intensity.scope == "set":
        assert engine.task.intensity and engine.task.intensity.learned
    written = masks(tmp_path, data)
    assert len(written) == 24
    for name, mask in written.items():
        truth = np.asarray(Image.open(data / "masks" / f"{name}.png"))
        assert mask.shape == truth.shape
    checked = run("check", tmp_path / "run" / "engines" / "fp32", "--data", data, "--reference", tmp_path / "net.onnx")
    assert "1.0000" in checked.stdout


@pytest.mark.slow
def test_overlapping_labels_in_tiles_deploy(tmp_path: Path) -> None:
    data = write_slices(tmp_path / "set")
    for path in (data / "masks").glob("*.png"):  # the same disc twice: one map for each class
        path.rename(path.with_name(f"{path.stem}-a.png"))
        Image.open(path.with_name(f"{path.stem}-a.png")).save(path.with_name(f"{path.stem}-b.png"))
    manifest = (data / "manifest.csv").read_text()
    lines = [line.split(",") for line in manifest.splitlines()]
    rows = [",".join(lines[0])]
    rows += [f"{i},{m.replace('.png', '-a.png')};{m.replace('.png', '-b.png')},{s}" for i, m, s in lines[1:]]
    (data / "manifest.csv").write_text("\n".join(rows) + "\n")
    task = replace(WINDOWED, classes=("disc", "core"), overlapping=True, thresholds=(0.5, 0.6), fit="tile")
    report = deploy(tmp_path, overlapping_network(task), data)
    assert report["reference"]["dice"] > 0.8  # type: ignore[index]
    written = masks(tmp_path, data)
    assert len(written) == 48
    assert (written["test00_disc"] >= written["test00_core"]).all()
