"""Results in a line, for ``repr`` and notebooks; what a verb returned is taken by the next one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.api.given import as_data
from edge.api.run import FleetRun, Run
from tests.fixtures.discs import disc_network

LONGEST = 200


@pytest.mark.slow
def test_every_result_says_itself_in_a_line(run: Run, arrays: list[tuple], tmp_path: Path) -> None:
    model = disc_network()
    ranges = edge.calibrate(model, arrays)
    plan = edge.quantize(model, ranges, tmp_path / "q.onnx")
    shown = {
        repr(model): "<Model discs: 5 nodes, opset 20, 32x32>",
        repr(ranges): "<Ranges of 3 tensors over 6 images",
        repr(plan): "<PrecisionPlan 3 of 3 nodes in INT8>",
        repr(edge.estimate(model, "jetson-orin-nano-8gb")): "<Estimate jetson-orin-nano-8gb int8: at least ",
        repr(edge.fuse(model, target="rtx-ada")): "<Fused discs: ",
        repr(run.report): f"<Report discs for cpu, passed: {run.report.chosen}>",
        repr(edge.targets()[0]): "<Target ",
        repr(
            edge.build(model, arrays, "cpu", "fp32", tmp_path / "fp32")
        ): f"<Engine {tmp_path / 'fp32'}: fp32, openvino,",
        repr(as_data(arrays)): "<ImageSet ",
        repr(edge.init(str(_saved(tmp_path)))): "<Starter 32x32, ",
    }
    for line, start in shown.items():
        assert line.startswith(start) and "\n" not in line and len(line) < LONGEST, line


def _saved(folder: Path) -> Path:
    disc_network().save(folder / "net.onnx")
    return folder / "net.onnx"


def test_a_report_is_a_table_in_a_notebook(run: Run) -> None:
    rows = run.report._repr_html_()
    assert f"<td>{run.report.chosen} ◀</td>" in rows and rows.count("<tr>") == 1 + len(run.report.engines)
    assert rows[rows.index("<thead>") :] == run._repr_html_()[run._repr_html_().index("<thead>") :]


def test_a_profile_is_a_table_in_a_notebook(run: Run) -> None:
    found = edge.profile(run, seconds=0.02)
    assert repr(found).startswith("<Profiled ") and " ms" in repr(found) and len(repr(found)) < LONGEST
    assert "<th>p50 ms</th>" in found._repr_html_()


def test_every_other_result_is_a_table_in_a_notebook(run: Run, arrays: list[tuple], tmp_path: Path) -> None:
    model = disc_network()
    ranges = edge.calibrate(model, arrays)
    plan = edge.quantize(model, ranges, tmp_path / "q.onnx")
    floor = edge.estimate(model, "jetson-orin-nano-8gb")
    with edge.load_engine(run) as engine:
        loaded = engine._repr_html_()
    bundle = edge.bundle(run, "cpu", tmp_path / "kit.tar.gz", images=False)
    tables = {
        model._repr_html_(): ("<td>Conv</td><td>3</td>", 2),
        model.task._repr_html_(): ("<td>size</td><td>[32, 32]</td>", len(model.task.to_table())),
        as_data(arrays)._repr_html_(): ("<td>train</td><td>6</td>", 3),
        ranges._repr_html_(): (f"<td>{model.input_name}</td>", len(ranges.tensors)),
        plan._repr_html_(): ("<td>int8</td>", len(plan.nodes)),
        floor._repr_html_(): (f"<td>{max(layer.ms for layer in floor.layers):.4g}</td>", len(floor.layers)),
        edge.fuse(model, target="rtx-ada")._repr_html_(): ("<th>MACs saved</th>", 0),
        edge.build(model, arrays, "cpu", "fp32", tmp_path / "fp32")._repr_html_(): ("<td>fp32</td>", 6),
        loaded: (f"<td>{run.engine}</td>", 8),
        bundle._repr_html_(): (f"<td>{bundle.bytes}</td>", 1),
        edge.targets()[0]._repr_html_(): ("<th>source</th>", len(edge.targets()[0].facts)),
        edge.init(str(_saved(tmp_path)))._repr_html_(): ("<td>size</td><td>[32, 32]</td><td>False</td>", 11),
    }
    for html, (cell, rows) in tables.items():
        assert cell in html and html.count("<tr>") == 1 + rows, html
        assert html.startswith("<table><caption>&lt;"), html


def test_a_fleet_says_how_many_boards_pass_and_has_a_row_for_each(run: Run, tmp_path: Path) -> None:
    failed = Run(replace(run.report, status="failed", chosen=None), tmp_path)
    faults = {"<gone>": "ada@gone: cannot be reached"}
    fleet = FleetRun(run.report, run.folder, {"desk": run, "lab": failed}, faults, tmp_path / "fleet.html")
    assert repr(fleet) == f"<FleetRun {tmp_path / 'fleet.html'}: 1 of 3 boards pass>" and not fleet.passed
    html = fleet._repr_html_()
    for row in (("desk", "passed", run.report.chosen), ("lab", "failed", "none"),
                ("&lt;gone&gt;", "ada@gone: cannot be reached", "none")):  # fmt: skip
        assert f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" in html
    assert html.count("<tr>") == 1 + 3 and fleet.engine == run.engine
    assert FleetRun(run.report, run.folder, {"desk": run}, {}, tmp_path / "fleet.html").passed


def test_a_run_in_memory_is_described_as_its_folder(run: Run) -> None:
    assert edge.inspect(run) == edge.inspect(run.folder)


def test_ranges_of_another_graph_are_refused_in_memory_too(arrays: list[tuple], tmp_path: Path) -> None:
    ranges, other = edge.calibrate(disc_network(), arrays), disc_network()
    other.proto.graph.node[0].name = "renamed"
    with pytest.raises(edge.InputError, match="ranges: was learned on another graph"):
        edge.quantize(other, ranges, tmp_path / "q.onnx")


def test_channels_first_is_told_how_to_turn(run: Run) -> None:
    with edge.load_engine(run) as engine, pytest.raises(edge.InputError, match=r"channels first; give image.transpose"):
        engine.segment(np.zeros((3, 40, 48), np.uint8))
    with edge.load_engine(run) as engine, pytest.raises(edge.InputError, match=r"channels first; give image.transpose"):
        engine.segment(np.zeros((1, 40, 48), np.uint8))


@pytest.mark.parametrize(("shape", "fault"), [((2, 40, 48, 3), "one image"), ((0, 48), r"is empty, \[0, 48\]")])
def test_no_image_is_told_what_one_is(run: Run, shape: tuple[int, ...], fault: str) -> None:
    with edge.load_engine(run) as engine, pytest.raises(edge.InputError, match=fault):
        engine.segment(np.zeros(shape, np.uint8))


def test_a_useless_model_is_an_input_s_fault(arrays: list[tuple], tmp_path: Path) -> None:
    blind = [(image, 1 - mask, split, name) for image, mask, split, name in arrays]
    with pytest.raises(edge.InputError, match="nothing could be retained"):
        edge.deploy(disc_network(), blind, out=tmp_path / "run")


def test_a_model_that_is_useless_as_a_reference_says_so_in_its_line(arrays: list[tuple]) -> None:
    silent = disc_network()
    silent = replace(silent, task=replace(silent.task, mean=(1e4,) * 3))
    found = edge.check(silent, arrays)
    assert not found.passed and found.fault and found.fault in repr(found) and "intensity" in found.fault
