"""One run of a small network over arrays in memory, for every test of the API."""

from __future__ import annotations

from pathlib import Path

import pytest

import edge
from edge.api.progress import Event
from edge.api.run import Run
from edge.images.image_set import load_image_set
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.unplotted import unplotted


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("api")
    write_discs(root / "discs", {"train": 6, "val": 4, "test": 22})
    disc_network().save(root / "discs.onnx")
    return root


@pytest.fixture(scope="session")
def arrays(place: Path) -> list[tuple]:
    return [(s.pixels(), s.labels(TASK), s.split, s.name) for s in load_image_set(place / "discs")]


@pytest.fixture(scope="session")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="session")
def run(place: Path, arrays: list[tuple], events: list[Event]) -> Run:
    with unplotted():
        return edge.deploy(
            disc_network().proto,
            arrays,
            task=TASK,
            precisions=["fp32", "int8"],
            out=place / "run",
            budget=2,
            seconds=0.05,
            threads=1,
            progress=events.append,
        )
