"""Surfaces of a run folder: each of its files damaged, then the run is reported on, packed and shown to other tools."""

from __future__ import annotations

import random
from pathlib import Path

import edge
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.unplotted import unplotted
from tests.fuzz.mutate import mutated_bytes, mutated_json, mutated_onnx
from tests.fuzz.surface import Surface

_FILES = (
    "report.json", "ranges.json", "plan.json", "source.onnx", "reference.npz", "engines/int8/engine.json",
    "engines/int8/graph.onnx", "engines/int8/model.xml",
)  # fmt: skip


def surfaces(place: Path) -> list[Surface]:
    """Doors of run folders."""
    discs = write_discs(place / "discs", {"train": 4, "val": 2, "test": 4})
    disc_network().save(place / "discs.onnx")
    with unplotted():
        run = edge.deploy(
            place / "discs.onnx", discs, precisions="fp32,int8", seconds=0.05, gate="none", allow_small=True,
            calibration_images=4, out=place / "run", progress=None,
        )  # fmt: skip
    seeds = {name: (run.folder / name).read_bytes() for name in _FILES if (run.folder / name).is_file()}
    return [
        Surface("a run to report", 2, {"report.json": seeds["report.json"]}, mutated_json, _report, run.folder),
        Surface("a run to bundle", 4, seeds, _mutated, lambda path: _bundle(path, run.folder), run.folder),
    ]


def _mutated(data: bytes, rng: random.Random) -> bytes:
    if data.lstrip().startswith(b"{"):
        return mutated_json(data, rng)
    return mutated_onnx(data, rng) if data[:1] == b"\x08" and rng.random() < 0.7 else mutated_bytes(data, rng)


def _report(path: Path) -> object:
    return edge.report([path.parent], out=path.parent.parent / "merged" / "all.html")


def _bundle(path: Path, sound: Path) -> object:
    folder = next(parent for parent in path.parents if (parent / "report.json").exists())
    out = folder.parent / "kit.tar.gz"
    edge.export("model-card", folder, out=folder.parent / "card" / "README.md")
    return edge.bundle(folder, target="cpu", out=out, allow_small=True)
