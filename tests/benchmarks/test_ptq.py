"""The table of INT8 techniques: a row per technique from a deployment's own files, none measured twice."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import ptq
from edge.accuracy.evaluate import evaluate
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.files import read_json
from edge.images.image_set import load_image_set
from edge.quantization.calibrate import calibrate
from edge.report.store import OUTPUTS
from tests.fixtures.discs import disc_network, write_discs


@pytest.fixture
def deployed(tmp_path: Path) -> tuple[Path, Path]:
    """What the table reads of a deployment, and its image set."""
    data, run, model = (
        write_discs(tmp_path / "data", {"train": 16, "val": 4, "test": 20}),
        tmp_path / "discs",
        disc_network(),
    )
    images = load_image_set(data)
    (run / "engines" / "fp32").mkdir(parents=True)
    model.save(run / "source.onnx")
    model.save(run / "engines" / "fp32" / "graph.onnx")
    calibrate(model, (model.task.preprocess(one.pixels())[None] for one in images.split("train"))).save(
        run / "ranges.json"
    )
    evaluate(reference(model).run, images.split("test"), model.task).save_outputs(run / OUTPUTS)
    return run, data


def test_every_technique_has_a_row_that_is_not_measured_again(
    deployed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = deployed
    out = tmp_path / "ptq.json"
    given = ["ptq", str(run), "--data", str(data), "--out", str(out), "--scratch", str(tmp_path / "scratch")]
    monkeypatch.setattr(sys, "argv", [*given, "--dialects", "tensorrt", "--techniques", "plain,bias correction"])
    ptq.main()
    rows = read_json(out)["rows"]
    assert [row["technique"] for row in rows] == ["plain", "bias correction"]
    for row in rows:
        assert row["images"] == 20
        assert 0.98 < row["agreement"] < 1.0 or row["sqnr_db"] > 30.0, row
        assert row["sqnr_db"] < 80.0, "a float graph was scored"
    assert rows[0]["sqnr_db"] != rows[1]["sqnr_db"]
    capsys.readouterr()
    ptq.main()
    assert capsys.readouterr().out == "", "rows of the same graph were made again"
    assert out.with_suffix(".md").read_text().count("| discs | tensorrt |") == 2


def test_ranges_can_be_those_of_the_code_as_it_is(deployed: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = deployed
    (run / "ranges.json").unlink()
    case = ptq.Case(run, "tensorrt", load_image_set(data), tmp_path / "scratch", {}, again=True)
    row = ptq.measure(case, "plain")
    assert "error" not in row, row
    assert 20.0 < row["sqnr_db"] < 80.0
    assert "ranges.json" in ptq.measure(ptq.Case(run, "tensorrt", case.data, case.scratch, {}), "plain")["error"]


def test_a_tool_that_fails_is_told_in_its_row(deployed: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = deployed
    case = ptq.Case(run, "tensorrt", load_image_set(data), tmp_path / "scratch", {})
    row = ptq.measure(case, "aimet")
    assert "--python aimet=PATH" in row["error"]
    assert "--python aimet=PATH" in ptq.table([{"network": "n", "dialect": "d", "technique": "aimet", **row}])


def test_a_graph_that_only_the_optimizer_refuses_is_run_as_written(
    deployed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = ptq.Case(deployed[0], "tensorrt", load_image_set(deployed[1]), tmp_path / "scratch", {})
    expected, opened = ptq.measure(case, "plain"), ptq.open_session

    def strict(graph: bytes, threads: int, optimize: bool, where: str) -> object:
        if optimize:
            raise InputError(f"{where}: ONNX Runtime refuses the graph")
        return opened(graph, threads, optimize, where)

    monkeypatch.setattr(ptq, "open_session", strict)
    row = ptq.measure(case, "plain")
    assert row["sqnr_db"] == pytest.approx(expected["sqnr_db"], abs=1.0)


def test_a_graph_that_tensorrt_refuses_is_no_row_of_its_simulation(deployed: tuple[Path, Path], tmp_path: Path) -> None:
    case = ptq.Case(deployed[0], "openvino", load_image_set(deployed[1]), tmp_path / "scratch", {})
    refused = ptq.plain(case).save(tmp_path / "openvino.onnx")
    with pytest.raises(ValueError, match="are not signed with zero point 0"):
        ptq.require_symmetric(refused)
    ptq.require_symmetric(ptq.plain(replace(case, dialect="tensorrt")).save(tmp_path / "tensorrt.onnx"))
