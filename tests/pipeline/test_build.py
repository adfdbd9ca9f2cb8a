"""``edge build`` for a GPU that is not here, by the user's own command, and deployments that keep its plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.backends.engine import read_engine
from edge.bundle.archive import unpack
from edge.bundle.pack import pack
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import Request
from edge.search.build import compiled_graph
from edge.targets.target import find_target
from tests.fixtures.command import edge
from tests.fixtures.discs import disc_network, loud_disc_network, write_discs

pytestmark = pytest.mark.usefixtures("without_plots")

RTX = "rtx-ampere"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("build")
    write_discs(root / "discs", {"train": 4, "val": 4, "test": 22})
    disc_network().save(root / "discs.onnx")
    loud_disc_network().save(root / "loud.onnx")
    return root


def _built(place: Path, model: str, precision: str) -> dict[str, Any]:
    done = edge(
        *("build", place / model, "--data", place / "discs", "--target", RTX, "--precision", precision),
        *("--out", place / f"engine-{precision}", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("model", "precision", "convs"),
    [
        ("discs.onnx", "fp16", {"int8": 0, "fp16": 3}),
        ("discs.onnx", "int8", {"int8": 2, "fp16": 1}),
        ("discs.onnx", "int8+fp32", {"int8": 2, "fp32": 1}),
        ("loud.onnx", "mixed", {"int8": 1, "fp16": 2}),
    ],
)
def test_every_precision_is_built_for_a_gpu_that_is_not_here(
    place: Path, model: str, precision: str, convs: dict[str, int]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    summary = _built(place, model, precision)
    assert {name: summary["convs"][name] for name in convs} == convs
    engine = read_engine(Path(summary["path"]))
    kind, _, rest = precision.partition("+")
    assert (engine.artefact, engine.precision, engine.rest) == ("model.plan", kind, rest or "fp16")
    assert engine.runs_on["sm"] == "8.6" and compiled_graph(engine) is not None


def test_the_targets_that_this_machine_is_are_told_apart() -> None:
    rows = {row["name"]: row for row in json.loads(edge("targets", "--json").stdout)}
    assert rows["cpu"]["here"] and rows["cpu"]["lacks"] is None
    assert all(row["here"] == (row["lacks"] is None) for row in rows.values())
    assert not rows["jetson-xavier-nx"]["here"] and "Jetson" in rows["jetson-xavier-nx"]["lacks"]


@pytest.mark.parametrize("pair", ["fp16+fp32", "int8+mixed", "int8+"])
def test_a_pair_that_is_none_is_refused_with_the_form(place: Path, pair: str) -> None:
    done = edge("build", place / "discs.onnx", "--data", place / "discs", "--target", RTX, "--precision", pair)
    assert done.returncode == 2 and f"--precision {pair}: write int8 or mixed, a +, and one of fp32" in done.stderr


def test_a_precision_that_the_gpu_lacks_names_the_reason(place: Path) -> None:
    done = edge("build", place / "discs.onnx", "--data", place / "discs", "--target", RTX, "--precision", "bf16")
    assert done.returncode == 3 and "bf16 is not written for TensorRT" in done.stderr


def test_a_deployment_keeps_the_plans_and_they_travel(place: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    request = Request(
        model=str(place / "discs.onnx"),
        data=place / "discs",
        target=RTX,
        precisions=("fp16", "int8"),
        out=place / "run",
        command=f"edge deploy {place / 'discs.onnx'} --data {place / 'discs'} --target {RTX}",
    )
    report, run = run_deploy(request, NullProgress())
    assert (report.status, report.chosen) == ("unconfirmed", None)
    assert {row.name for row in report.engines} == {"fp16", "int8-fp16"}
    for row in report.engines:
        assert row.simulated and row.latency_ms is None and row.gate.passed and row.path is not None
        engine = read_engine(run / row.path)
        assert engine.artefact == "model.plan" and engine.bytes == row.bytes
    assert any("carry them there" in note for note in report.notes)
    manifest = unpack(pack(run, find_target(RTX), None, True, place / "rtx.tar.gz", allow_small=True), place / "out")
    assert {c.name for c in manifest.candidates} == {"fp16", "int8-fp16"}
    assert manifest.runs_on["tensorrt_rtx"] == engine.versions["tensorrt_rtx"]


@pytest.mark.slow
def test_a_network_s_folder_is_built_in_int8(tmp_path: Path) -> None:
    """One of the five; ``tests/backends/tensorrt/test_rtx.py`` builds all of them in every precision."""
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    done = edge(
        *("build", "models/litenext", "--data", "calibration/dsb2018", "--target", RTX, "--precision", "int8"),
        *("--calibration-images", 2, "--out", tmp_path / "engine", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["convs"]["int8"] > 0
