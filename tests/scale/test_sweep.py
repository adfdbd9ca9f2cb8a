"""Sweeps: two Dask workers find what one process finds, and a second call does only what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

import edge
from edge.errors import InputError, MachineError
from edge.scale.job import EngineResult, SweepResult
from edge.scale.sweep import TABLE
from tests.fixtures.discs import TASK, disc_network, loud_disc_network, write_discs


def matrix(data: str, *networks: str) -> str:
    """A sweep of networks over two gates, as short as it can be."""
    head = f'data = "{data}"\nprecisions = ["fp32,int8"]\ngates = ["99", "99.9"]\n'
    options = "\n[options]\nbudget = 0\nseconds = 0.01\n"
    return head + options + "".join(f'\n[[networks]]\nmodel = "{name}"\n' for name in networks)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    write_discs(root / "discs", {"train": 4, "val": 4, "test": 20})
    disc_network().save(root / "discs.onnx")
    loud_disc_network().save(root / "loud.onnx")
    disc_network(replace(TASK, size=(48, 48))).save(root / "large.onnx")
    (root / "sweep.toml").write_text(matrix("discs", "discs.onnx", "loud.onnx", "large.onnx"))
    return root


def numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """All of a row that is no time and not decided by one, as the order of engines is."""
    engines = [{key: value for key, value in engine.items() if key != "p50_ms"} for engine in row["engines"]]
    engines.sort(key=lambda engine: engine["name"])
    return {**row, "engines": engines, "chosen": None, "kept": None}


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(place: Path, scheduler: str) -> None:
    command = [sys.executable, "-m", "edge.cli.app", "sweep", "sweep.toml", "--out", "far", "--scheduler", scheduler]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "/6 " in line]
    assert [line.partition("/")[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert all(" passed: " in line for line in lines)
    edge.sweep(place / "sweep.toml", place / "near")
    far, near = (json.loads((place / out / TABLE).read_text())["rows"] for out in ("far", "near"))
    assert len(far) == 6 and list(map(numbers, far)) == list(map(numbers, near))
    assert (place / "far" / "sweep.html").stat().st_size > 10_000

    (place / "far" / "loud-fp32+int8-99" / "report.json").unlink()
    notes: list[str] = []
    again = edge.sweep(
        place / "sweep.toml",
        place / "far",
        scheduler,
        progress=lambda event: notes.append(event.text) if event.kind == "note" else None,
    )
    assert [row.name for row in again if not row.kept] == ["loud-fp32+int8-99"]
    assert sum(note.endswith("(kept)") for note in notes) == 5


def test_a_network_at_fault_is_a_row(place: Path) -> None:
    path = place / "fault.toml"
    path.write_text('data = "discs"\n[[networks]]\nmodel = "none.onnx"\n')
    (row,) = edge.sweep(path, place / "fault")
    assert isinstance(row, SweepResult) and row.status == "none" and "none.onnx: no such file" in row.fault


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no networks"),
        ("gate = []\n[[networks]]\nmodel = 'x'", "gate is unknown; known are data, gates"),
        ("gates = [99]\n[[networks]]\nmodel = 'x'", "gates holds something else than texts"),
        ("[options]\nout = 'x'\n[[networks]]\nmodel = 'x'", r"\[options\] out is unknown"),
        ("[[networks]]\nmodel = 'x'", "x has no data"),
        ("data = 'd'\n[[networks]]\nmodel = 'x'\n[[networks]]\nmodel = 'x'", "two deployments are called x"),
    ],
)
def test_a_matrix_at_fault_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        edge.sweep(path, tmp_path / "out")


def test_a_scheduler_that_cannot_be_used_is_one_sentence(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("localhost:8786", "local:0", "locally"):
        with pytest.raises(
            InputError, match=r"is no address; give tcp://HOST:8786, or local \(local:N for N workers\)"
        ):
            edge.sweep(place / "sweep.toml", place / "out", text)
    with monkeypatch.context() as patch:
        patch.setattr("edge.scale.cluster._CONNECT_S", 1)
        with pytest.raises(MachineError, match="nobody answers within 1 s; start one with dask scheduler"):
            edge.sweep(place / "sweep.toml", place / "out", "tcp://127.0.0.1:9")
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        pytest.raises(MachineError, match="offers no machine=1"),
    ):
        edge.sweep(place / "sweep.toml", place / "out", cluster.scheduler_address)


@pytest.mark.parametrize("fault", [OSError(99, "Cannot assign requested address"), RuntimeError("Cluster failed")])
def test_workers_that_cannot_be_started_here_are_one_sentence(
    place: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cluster(**_: object) -> None:
        raise fault

    monkeypatch.setattr("distributed.LocalCluster", no_cluster)
    with pytest.raises(MachineError) as refused:
        edge.sweep(place / "sweep.toml", place / "out", "local:2")
    said = str(refused.value)
    assert said.startswith("--scheduler local:2: no workers could be started on this machine (") and "\n" not in said
    assert str(fault.args[-1]) in said and said.endswith(
        "leave --scheduler out, or start them yourself and give tcp://HOST:8786"
    )
    assert not (place / "out").exists()


def test_a_row_says_itself_in_a_line_and_as_a_table() -> None:
    engines = (
        EngineResult("fp32", "fp32", True, 0.9, 0.8, 1.0, 4.0),
        EngineResult("int8", "int8", False, 0.5, 0.4, 0.56, None),
    )
    row = SweepResult("a", "net.onnx", "cpu", "fp32,int8", "99", "out/a", "passed", "fp32", 0.9, engines)
    assert repr(row) == "<SweepResult out/a passed: fp32>" and row.engine is engines[0]
    html = row._repr_html_()
    assert "<tr><td>fp32 ◀</td><td>4</td><td>0.9</td><td>1</td><td>passes</td></tr>" in html
    assert "<tr><td>int8</td><td></td><td>0.5</td><td>0.56</td><td>fails</td></tr>" in html
    none = replace(row, status="none", chosen=None, engines=(), fault="net.onnx: <no> such file")
    assert repr(none) == "<SweepResult out/a none: net.onnx: <no> such file>"
    assert none._repr_html_().count("<tr>") == 1 and "&lt;no&gt; such file" in none._repr_html_()
    assert repr(replace(none, status="failed", fault="")) == "<SweepResult out/a failed: no engine chosen>"
