"""How ours stands against peers in throughput, picture to mask, memory and build: every measure, every peer, no quiet
gap."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import mask_worker, wide
from benchmarks.peers.builders import BUILDERS, OPENVINO_GRAPHS, PEERS, Graph
from benchmarks.peers.setting import Setting
from benchmarks.peers.standing import MEASURES, Series, standing, table
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.backends.openvino.backend import OpenVino
from edge.files import read_json, sha256_file, write_json
from edge.images.image_set import load_image_set
from edge.loading import load_model
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs

NAME = "discs.onnx"
TIMINGS = {"calibrate": 2.5, "build": 0.5}


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    """A folder with a model, its image set, and of its run folder what is compared."""
    write_discs(tmp_path / "data", {"train": 2, "val": 2, "test": 4})
    (tmp_path / "models").mkdir()
    path = disc_network().save(tmp_path / "models" / NAME)
    run = tmp_path / "runs" / NAME
    engine = run / "engines" / "fp32"
    engine.mkdir(parents=True)
    model = load_model(str(path), None, None)
    model.save(run / "source.onnx")
    OpenVino().build(Candidate("fp32", "fp32", "fp32", model), find_target("cpu"), engine)
    write_json(run / "report.json", {"model": {"sha256": model.sha256}, "chosen": "fp32", "timings": TIMINGS})
    return tmp_path


def _setting(folder: Path, peer: str) -> Setting:
    run = folder / "runs" / NAME
    return Setting(
        peer=peer,
        model=str(folder / "models" / NAME),
        source=run / "source.onnx",
        output=disc_network().output_name,
        calibration=folder / "calibration.npy",
        data=folder / "data",
        engine=run / "engines" / "fp32",
        scratch=folder,
        threads=1,
        pythons={},
        reuse=True,
        make=False,
    )


@pytest.mark.slow
def test_every_contestant_has_every_measure_or_a_reason(deployed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, latency = deployed / "wide.json", deployed / "peers.json"
    row = {"build_seconds": 0.75, "passed": True}
    write_json(latency, {"networks": {NAME: {"peers": {"openvino-fp32": row, "nncf-int8": {**row, "passed": False}}}}})
    given = ["--networks", NAME, "--models", str(deployed / "models"), "--data", str(deployed / "data")]
    given += ["--runs", str(deployed / "runs"), "--peers", "onnxruntime-fp32,openvino-fp32,nncf-int8,aimet-int8"]
    given += ["--threads", "1", "--rounds", "1", "--seconds", "1", "--latency", str(latency), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["wide", *given])
    monkeypatch.setattr(wide, "SWEEP_SECONDS", 0.1)
    wide.main()
    results = read_json(out)
    assert results["environment"]["cpu"]
    entry = results["networks"][NAME]
    assert entry["ours"] == "fp32" and entry["task_in_engine"] and entry["own_batches_streams"]
    measures = entry["measures"]
    assert entry["numpy_ms"] > 0
    assert set(measures) == {measure.name for measure in MEASURES}
    for name, found in measures.items():
        assert found["ours"]["value"] > 0 and len(found["ours"]["rounds"]) == 1, name
        assert found["peers"]["openvino-fp32"]["value"] > 0, name
        assert found["best"]["ours_over"]["median"] > 0, name
        assert found["best_passing"]["peer"] == "openvino-fp32", name
    # Python with OpenVINO is some 100 MB; a process that held what the parent holds would be several times that.
    peaks = [
        measures["peak_mb"]["ours"],
        *(measures["peak_mb"]["peers"][p] for p in ("openvino-fp32", "onnxruntime-fp32")),
    ]
    assert all(40 < peak["value"] < 400 for peak in peaks), peaks
    assert measures["build_seconds"]["ours"]["value"] == 3.0
    assert measures["build_seconds"]["best_passing"]["ours_over"]["median"] == 0.25
    assert measures["build_seconds"]["peers"]["aimet-int8"] == {
        "value": None,
        "rounds": [],
        "error": "not in --latency",
    }
    assert measures["throughput"]["peers"]["onnxruntime-fp32"]["error"].startswith("not run")
    assert measures["mask_ms"]["peers"]["onnxruntime-fp32"]["value"] > 0
    assert "no nncf.xml of this network" in measures["throughput"]["peers"]["nncf-int8"]["error"]
    lines = out.with_suffix(".md").read_text().splitlines()
    assert sum(line.startswith(f"| {NAME} |") for line in lines) == 7
    assert {line.count("|") for line in lines[:9]} == {len(MEASURES) + 3}


def test_a_run_of_other_weights_is_not_compared(
    deployed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = deployed / "runs" / NAME, deployed / "wide.json"
    write_json(run / "report.json", {**read_json(run / "report.json"), "model": {"sha256": "another"}})
    given = ["--networks", NAME, "--models", str(deployed / "models"), "--runs", str(deployed / "runs")]
    monkeypatch.setattr(sys, "argv", ["wide", *given, "--out", str(out)])
    with pytest.raises(SystemExit, match="no network could be compared"):
        wide.main()
    assert "holds no run of" in capsys.readouterr().err and not out.exists()


def test_a_peer_makes_the_masks_that_the_task_asks_for(deployed: Path) -> None:
    task = disc_network().task
    pictures = [task.resized(sample.plane(task)) for sample in load_image_set(deployed / "data").split("test")]
    expected = [task.decide(reference(disc_network()).run(task.normalized(p)[None])[0]) for p in pictures]
    assert 0.02 < np.mean(expected) < 0.5
    for peer in ("openvino-fp32", "onnxruntime-fp32", "ours", mask_worker.OURS_IN_ENGINE):
        to_mask = mask_worker.load(_setting(deployed, peer), task)
        assert all(np.array_equal(to_mask(p), mask) for p, mask in zip(pictures, expected, strict=True)), peer


def test_only_a_graph_of_the_same_network_is_finished(deployed: Path) -> None:
    told = _setting(deployed, "nncf-int8-bf16")
    np.save(told.calibration, np.zeros(1))
    graph, stamp = deployed / "nncf.xml", deployed / "nncf.of"
    with pytest.raises(RuntimeError, match=r"no nncf\.xml of this network"):
        wide.finished(told)
    graph.write_text("made by an earlier run")
    stamp.write_text(f"{sha256_file(told.source)}\n{sha256_file(told.calibration)}")
    assert OPENVINO_GRAPHS[told.peer](told) == Graph(graph, "bf16")
    float_rest = wide.finished(replace(told, peer="nncf-int8"))
    assert float_rest.graph == Graph(graph, "f32")
    assert (float_rest.setting.peer, float_rest.setting.source) == ("openvino-fp32", graph)
    stamp.write_text("of another network")
    with pytest.raises(RuntimeError, match=r"no nncf\.xml of this network"):
        wide.finished(told)
    assert graph.read_text() == "made by an earlier run"


def test_rounds_turn_their_order_and_leave_out_what_failed() -> None:
    taken: list[str] = []

    def step(name: str, figures: Iterator[float]) -> wide.Step:
        def take() -> wide.Found:
            taken.append(name)
            if (figure := next(figures, None)) is None:
                raise RuntimeError("broke\ndown")
            return {"ms": figure}

        return take

    found = wide.in_turn(3, {"a": step("a", iter([1.0, 2.0, 3.0])), "b": step("b", iter([5.0]))})
    assert taken == ["a", "b", "b", "a", "a"]
    assert found["a"].series("ms") == Series((1.0, 2.0, 3.0)) and found["a"].series("ms").value == 2.0
    assert found["b"].series("ms") == Series((5.0,), "broke") and found["b"].series("ms").value is None


@pytest.mark.parametrize("more", [True, False])
def test_above_one_is_better_for_ours_in_either_direction(more: bool) -> None:
    measure = next(m for m in MEASURES if m.more == more)
    ours, slow, fast = ((8.0, 10.0, 12.0), (4.0, 4.0, 4.0), (16.0, 20.0, 16.0))
    peers = {"slow": Series(slow), "fast": Series(fast), "lost": Series(slow, "lost")}
    found = standing(measure, Series(ours), peers, {"slow"})
    best, passing = found["best"], found["best_passing"]
    assert passing["ours_over"]["rounds"] == ([2.0, 2.5, 3.0] if more else [0.5, 0.4, pytest.approx(1 / 3)])
    assert best["peer"] == ("fast" if more else "slow")
    over = best["ours_over"]
    figures = (over["median"], over["min"], over["max"])
    assert figures == pytest.approx((0.5, 0.5, 0.75) if more else (0.4, 1 / 3, 0.5))
    assert standing(measure, Series(error="lost"), peers, set())["best"] is None


def test_the_table_says_where_ours_is_behind() -> None:
    ours, better, worse = Series((10.0,)), Series((20.0,)), Series((0.5,))
    measures = {m.name: standing(m, ours, {"peer": better if m.more else worse}, set()) for m in MEASURES}
    lines = table({"net": {"ours": "int8", "measures": measures}}).splitlines()
    assert lines[2] == "| net | **int8** | 10.0 | 10.0 | 10.00 | 10 | 10.00 | 10.0 |"
    assert lines[3] == "| net | peer | 20.0 |  | 0.50 | 0 | 0.50 | 0.5 |"
    more, less = "**behind**: 0.50 (0.50 to 0.50), peer", "**behind**: 0.05 (0.05 to 0.05), peer"
    assert lines[4] == f"| net | ours over the best peer | {' | '.join([more] * 2 + [less] * 4)} |"
    assert "best that passes" not in "".join(lines), "no gate is known"


def test_what_openvino_runs_is_told_apart_from_running_it() -> None:
    assert list(PEERS)[-1] == "nncf-accuracy-control", "it takes what time there is"
    assert set(OPENVINO_GRAPHS) - set(PEERS) == {"nncf-performance"}
    assert set(OPENVINO_GRAPHS) < set(BUILDERS)


@pytest.mark.parametrize(
    ("reused", "value", "error"), [(False, 7.5, None), (True, None, "not run: its graph was there already")]
)
def test_taking_a_graph_that_was_there_is_no_build(reused: bool, value: float | None, error: str | None) -> None:
    latency = {"peers": {"nncf-int8": {"build_seconds": 7.5}}}
    found = wide.builds({"timings": TIMINGS}, latency, reused, ["nncf-int8"])
    assert found["ours"].value == 3.0
    assert (found["nncf-int8"].value, found["nncf-int8"].error) == (value, error)
