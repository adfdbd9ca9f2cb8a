"""Deploying for a device that is not here, where INT8 everywhere is not good enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.engine import read_engine
from edge.bundle.archive import unpack
from edge.bundle.pack import pack
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import Request
from edge.quantization.plan import read_plan
from edge.report.results import Report
from edge.targets.target import find_target
from tests.fixtures.discs import loud_disc_network, write_discs

pytestmark = pytest.mark.usefixtures("without_plots")

TARGET = "jetson-orin-nano-8gb"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    write_discs(root / "discs", {"train": 6, "val": 6, "test": 24})
    loud_disc_network().save(root / "loud.onnx")
    return root


@pytest.fixture(scope="module")
def deployed(place: Path) -> tuple[Report, Path]:
    request = Request(
        model=str(place / "loud.onnx"), data=place / "discs", target=TARGET, out=place / "run", command="edge deploy",
        budget_seconds=3600.0,
    )  # fmt: skip
    return run_deploy(request, NullProgress())


@pytest.mark.slow
def test_a_mixed_plan_passes_where_int8_everywhere_fails(deployed: tuple[Report, Path]) -> None:
    report, run = deployed
    assert (report.status, report.chosen) == ("unconfirmed", None)
    assert not report.engine("int8-fp16").gate.passed
    mixed = report.engine("mixed-fp16")
    assert mixed.gate.passed and mixed.precision == "mixed" and mixed.simulated
    assert mixed.accuracy is not None and mixed.accuracy.dice.retained >= 0.999
    assert read_plan(run / "plan.json").int8 == {"head/Conv"}
    assert any(note.startswith("search: ") and "estimates" in note for note in report.notes)


def test_what_is_predicted_and_what_is_audited_is_said(deployed: tuple[Report, Path]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    report, _ = deployed
    (note,) = (note for note in report.notes if "the search predicts" in note)
    assert sum(row.path is not None for row in report.engines) == 5  # of three convolutions each
    assert "in plans for SM86, which agree with that precision for 15 of 15 convolutions" in note


def test_every_float_layer_says_why_and_no_row_has_a_latency(deployed: tuple[Report, Path]) -> None:
    report, _ = deployed
    assert all(row.latency_ms is None for row in report.engines)
    layers = {layer.name: layer for layer in report.engine("mixed-fp16").layers}
    assert all(layer.ms is None for layer in layers.values())
    assert "agreement" in layers["second/Conv"].reason and "input channels" in layers["first/Conv"].reason
    assert layers["head/Conv"].reason == ""


def test_the_plan_travels_to_the_device(deployed: tuple[Report, Path], place: Path) -> None:
    report, run = deployed
    archive = pack(run, find_target(TARGET), None, True, place / "loud.tar.gz", place / "discs")
    manifest = unpack(archive, place / "unpacked")
    (mixed,) = (c for c in manifest.candidates if c.name == "mixed-fp16")
    assert (mixed.precision, mixed.rest, mixed.typed) == ("mixed", "fp16", True)
    assert "agreement" in mixed.reasons["second/Conv"]
    row = report.engine("mixed-fp16")
    assert row.path is not None and read_engine(run / row.path).precision == "mixed"
