"""A run logged to MLflow's store on disk by the user's own command, and read back by MLflow's client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.api.run import Run
from edge.errors import MachineError
from edge.handover.mlflow import Tracker
from edge.report.store import read_report
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.report_example import example

MLFLOW_S_OWN = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"}


def deploy(root: Path, out: Path, log: str) -> subprocess.CompletedProcess[str]:
    words = f"deploy {root / 'net.onnx'} --data {root / 'discs'} --precisions fp32,int8 --budget 2 --seconds 0.05"
    line = [sys.executable, "-m", "edge.cli.app", *words.split(), "--out", str(out), "--log", log]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=MLFLOW_S_OWN, cwd=root)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    write_discs(folder / "discs", {"train": 6, "val": 4, "test": 22})
    disc_network().save(folder / "net.onnx")
    return folder


@pytest.mark.slow
def test_a_run_is_logged_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = (root / "store").as_uri()
    done = deploy(root, root / "runs/discs", f"mlflow:{store}")
    assert done.returncode == 0, done.stderr
    run = Run(read_report(root / "runs/discs"), root / "runs/discs")

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(run.report.model.name)
    (logged,) = client.search_runs([experiment.experiment_id])
    chosen = run.report.engine(run.report.chosen)
    assert logged.info.status == "FINISHED" and logged.info.run_name == "discs"
    assert logged.data.metrics["chosen.latency_ms_p50"] == chosen.latency_ms.p50
    assert logged.data.metrics["int8.dice"] == run.report.engine("int8").accuracy.dice.mean
    assert logged.data.metrics["reference.dice"] == run.report.reference.dice
    assert logged.data.metrics["fp32.speedup"] == 1
    assert logged.data.params["evaluation_sha256"] == run.report.data.evaluation.sha256
    assert logged.data.tags["segedge.status"] == "passed" and logged.data.tags["segedge.chosen"] == chosen.name
    kept = {item.path for item in client.list_artifacts(logged.info.run_id)}
    assert kept == {"report.html", "report.json", "report.md", "engines"}
    files = {Path(item.path).name for item in client.list_artifacts(logged.info.run_id, f"engines/{chosen.name}")}
    assert files == {path.name for path in run.engine.iterdir()}


def test_a_run_that_the_store_does_not_take_whole_is_not_left_running(tmp_path: Path) -> None:
    class Full:
        """A store that takes parameters and no metrics."""

        ended: tuple[str, ...] = ()

        def get_experiment_by_name(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(experiment_id="1")

        def create_run(self, experiment: str, **named: object) -> SimpleNamespace:
            return SimpleNamespace(info=SimpleNamespace(run_id="7"))

        def log_param(self, run: str, name: str, value: str) -> None: ...

        def log_metric(self, run: str, name: str, value: float) -> None:
            raise OSError("No space left on device")

        def set_terminated(self, run: str, status: str) -> None:
            self.ended = (run, status)

    store = Full()
    with pytest.raises(MachineError, match=r"is whole, but MLflow at here did not take it \(No space left"):
        Tracker(store, "here").write(example().report, tmp_path)
    assert store.ended == ("7", "FAILED")


@pytest.mark.slow
def test_a_store_that_cannot_be_reached_is_refused_before_anything_is_spent(root: Path) -> None:
    for log, code, fault in (
        ("wandb", 2, "give mlflow, or mlflow:URI"),
        ("mlflow:", 2, "give mlflow, or mlflow:URI"),
        ("mlflow:nonsense://x", 3, "does not answer"),
    ):
        done = deploy(root, root / "runs/none", log)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        assert fault in done.stderr and not (root / "runs/none").exists()
