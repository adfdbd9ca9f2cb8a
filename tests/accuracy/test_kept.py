"""What an evaluation keeps: the same values, at the same memory for any number of images."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from edge.accuracy.check import evaluate
from edge.accuracy.compare import compare
from edge.accuracy.kept import KeptLabels, KeptOutputs, save_outputs
from edge.errors import MachineError
from edge.images.image_set import ImageSet
from edge.task.plane import Plane
from edge.task.task import SegmentationTask

SIDE, DEPTH = 96, 10  # distances in three dimensions take a volume at once, so volumes are of one depth
TASK = SegmentationTask(size=(SIDE, SIDE), channels="grey")


@dataclass(frozen=True)
class Slice:
    """One of as many made-up slices as are asked for, ten to a volume; nothing of it is held."""

    index: int
    image: Path = Path("volume")

    @property
    def columns(self) -> dict[str, str]:
        return {"volume": self.volume}

    @property
    def volume(self) -> str:
        return f"v{self.index // DEPTH}"

    @property
    def name(self) -> str:
        return f"{self.volume}#{self.index % DEPTH:04d}"

    def pair(self, task: SegmentationTask) -> tuple[Plane, np.ndarray]:
        rng = np.random.default_rng(self.index)
        truth = np.zeros((SIDE, SIDE), np.uint8)
        top, left = rng.integers(20, 60, 2)
        truth[top : top + 30, left : left + 30] = 1
        values = (truth * 180 + rng.integers(0, 60, truth.shape)).astype(np.uint8)
        return Plane(
            values, (0.7, 0.7), self.name, "volume", self.volume, index=self.index % DEPTH, thickness=2.5
        ), truth


@dataclass(frozen=True)
class Volume:
    depth: int
    root: Path = Path("volume")

    def __len__(self) -> int:
        return self.depth

    def __iter__(self):
        return map(Slice, range(self.depth))


def peak_of(depth: int) -> int:
    """Bytes at the peak of an evaluation of a reference and of an engine against it, with every score taken."""
    images = cast(ImageSet, Volume(depth))
    tracemalloc.start()
    reference = evaluate(lambda batch: batch - 0.5, images, TASK)
    engine = evaluate(lambda batch: batch - 0.45, images, TASK, None, reference.outputs)
    accuracy = compare(engine, reference)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(reference.outputs) == depth and len(engine.outputs) == 0
    assert accuracy.images == depth and accuracy.hd95 is not None and accuracy.cases is not None
    return peak


def test_memory_is_flat_from_10_to_70_slices() -> None:
    peak_of(10)  # the first brings scipy
    few, many = peak_of(10), peak_of(70)
    outputs, labels = 4 * SIDE * SIDE, SIDE * SIDE  # of one slice and one evaluation, were they held
    assert many - few < 0.15 * 60 * (outputs + 2 * labels)


def test_outputs_are_an_array_that_stays_on_the_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(7, 2, 5, 3)).astype(np.float32)
    kept = KeptOutputs(outputs)
    assert kept.shape == outputs.shape and len(kept) == 7
    np.testing.assert_array_equal(kept, outputs)
    np.testing.assert_array_equal(kept[-1], outputs[-1])
    np.testing.assert_array_equal(kept[2:5], outputs[2:5])
    with pytest.raises(IndexError):
        kept[7]
    with pytest.raises(ValueError, match="an output of shape"):
        kept.append(outputs[0, :1])
    with (tmp_path / "x.npz").open("wb") as stream:
        save_outputs(stream, [f"i{n}" for n in range(7)], kept)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["outputs"], outputs)
        assert stored["names"].tolist() == [f"i{n}" for n in range(7)]


def test_a_full_disk_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(MachineError, match="no room for what the network returns"):
        KeptOutputs(np.zeros((1, 1, 2, 2), np.float32))


def test_labels_come_back_whatever_their_shapes() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 4, shape).astype(np.uint8) for shape in ((3, 4), (1, 9), (2, 6, 5))]
    kept = KeptLabels(maps)
    assert len(kept) == 3
    for labels, ours in zip(maps, kept, strict=True):
        np.testing.assert_array_equal(labels, ours)
