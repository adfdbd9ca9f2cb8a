"""Every limit of SECURITY.md's table, through the user's command: refused above it, taken once it is raised."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.safety.limits import Limits
from edge.task.task import SegmentationTask
from tests.fixtures.command import edge
from tests.fixtures.discs import disc_network
from tests.fixtures.endless import endless_network
from tests.fixtures.runtime_kit import make_engine

Words = list[object]


def _picture(folder: Path) -> Words:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    return _segment(folder, "a.png")


def _array(folder: Path) -> Words:
    np.savez_compressed(folder / "a.npz", image=np.zeros((64, 64), np.uint8))
    return _segment(folder, "a.npz")


def _segment(folder: Path, name: str) -> Words:
    engine = make_engine(folder / "engine", SegmentationTask((64, 64), classes=("nucleus",))).folder
    return ["segment", engine, folder / name, "--out", folder / "out", "--quiet"]


def _graph(folder: Path) -> Words:
    return ["inspect", disc_network().save(folder / "net.onnx")]


ASKS: dict[str, tuple[Callable[[Path], Words], int, int]] = {
    "pixels": (_picture, 63, 64),
    "inflated_bytes": (_array, 4_000, 5_000),
    "nodes": (_graph, 1, 100),
    "metadata_bytes": (_graph, 10, 10_000),
    "document_bytes": (_picture, 99, 10_000),
    "depth": (_picture, 1, 4),
    "digits": (_picture, 1, 20),
}
"""Limit: a command that asks for it, a value that is too low, and one that is not."""
ELSEWHERE = {"native_seconds", "message_bytes"}
"""Below, and in tests/boards/test_deploy_over_ssh.py."""


def test_every_limit_is_tried() -> None:
    assert {*ASKS, *ELSEWHERE} == set(vars(Limits()))


@pytest.mark.parametrize("name", ASKS)
def test_a_limit_is_enforced_and_raised_by_the_option(name: str, tmp_path: Path) -> None:
    make, low, enough = ASKS[name]
    words = make(tmp_path)
    done = edge("--limit", f"{name}={low}", *words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert f"more than the {low} " in done.stderr
    assert f"where you trust it, run edge --limit {name}=N ..." in done.stderr
    done = edge("--limit", f"{name}={enough}", *words)
    assert done.returncode == 0, done.stderr


def test_the_seconds_of_a_native_call_end_a_graph_that_never_does(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "edge.cli.app",
        "--limit",
        "native_seconds=2",
        "fuse",
        endless_network().save(tmp_path / "net.onnx"),
    ]
    done = subprocess.run(
        [*map(str, words), "--out", str(tmp_path / "out.onnx")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "did not end within the limit of seconds" in done.stderr and "edge --limit native_seconds=N" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
