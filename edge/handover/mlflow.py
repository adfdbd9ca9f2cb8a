"""A run as a run of MLflow: parameters, metrics of each engine, the reports and the chosen engine as artifacts.

MLflow's own rules say where it goes: its tracking URI, by argument or as its environment sets it. The experiment is
named after the network. See https://mlflow.org/docs/latest/ml/tracking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError, MachineError, first_line
from edge.report import words
from edge.report.results import EngineRow, Report

REPORTS = ("report.html", "report.json", "report.md")
_LONGEST = 500
"""Characters of a parameter; the least that any of MLflow's stores takes."""


@dataclass(frozen=True)
class Tracker:
    """An open MLflow store.

    Attributes:
        client: MLflow's ``MlflowClient``.
        uri: of the store, for messages.
    """

    client: Any
    uri: str

    def write(self, report: Report, folder: Path) -> str:
        """Write a finished run to the store.

        Args:
            report: what was found out.
            folder: the run folder: reports and the chosen engine are copied from it.

        Returns:
            MLflow's id of the run.

        Raises:
            MachineError: the store refused; the run folder is whole all the same.
        """
        try:
            return _write(self.client, report, folder)
        except Exception as error:  # MLflow's stores raise their own libraries' errors
            said = first_line(error)
            raise MachineError(f"{folder}: is whole, but MLflow at {self.uri} did not take it ({said})") from None


def open_mlflow(text: str) -> Tracker:
    """Reach the store, before anything is spent on a run that could not be logged.

    Args:
        text: ``mlflow``, to where MLflow's own settings point, or ``mlflow:URI``.

    Raises:
        InputError: another tracker.
        MachineError: MLflow is not installed, or the store does not answer.
    """
    tracker, colon, uri = text.partition(":")
    if tracker != "mlflow" or (colon and not uri):
        raise InputError(f"--log {text}: give mlflow, or mlflow:URI")
    try:
        import mlflow
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MachineError(f"--log mlflow: needs MLflow ({error}); pip install 'segedge[mlflow]'") from None
    where = uri or mlflow.get_tracking_uri()
    try:
        client = MlflowClient(tracking_uri=where)
        client.search_experiments(max_results=1)
    except Exception as error:  # as in write
        raise MachineError(f"--log mlflow: {where} does not answer ({first_line(error)}); check the URI") from None
    return Tracker(client, where)


def _write(client: Any, report: Report, folder: Path) -> str:
    experiment = _experiment(client, report.model.name)
    run = str(client.create_run(experiment, run_name=folder.name, tags=_tags(report)).info.run_id)
    status = "FAILED"
    try:
        _fill(client, run, report, folder)
        status = "FINISHED"
    finally:
        client.set_terminated(run, status)
    return run


def _fill(client: Any, run: str, report: Report, folder: Path) -> None:
    for name, value in _parameters(report).items():
        client.log_param(run, name, value[:_LONGEST])
    for name, number in _metrics(report):
        client.log_metric(run, name, number)
    for name in REPORTS:
        if (folder / name).is_file():
            client.log_artifact(run, str(folder / name))
    row = report.chosen_row
    path = row.path if row is not None else None
    if path is not None:
        client.log_artifacts(run, str(folder / path), f"engines/{report.chosen}")


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _tags(report: Report) -> dict[str, str]:
    tags = {"segedge.status": report.status, "segedge.verdict": words.verdict(report)}
    return {**tags, "segedge.chosen": report.chosen} if report.chosen else tags


def _parameters(report: Report) -> dict[str, str]:
    evaluation = report.data.evaluation
    return {
        "model": report.model.source,
        "model_sha256": report.model.sha256,
        "target": str(report.target["name"]),
        "evaluation": f"{evaluation.images} images of {evaluation.name}",
        "evaluation_sha256": evaluation.sha256,
        "command": report.command,
    }


def _metrics(report: Report) -> Iterator[tuple[str, float]]:
    """``reference.dice``, then ``ENGINE.dice`` and so on; what was not measured is left out."""
    base = words.baseline(report)
    yield "reference.dice", report.reference.dice
    yield "reference.iou", report.reference.iou
    for row in report.engines:
        for name, value in _of_engine(row, base):
            if value is not None:
                yield f"{row.name}.{name}", float(value)
                if row.name == report.chosen:
                    yield f"chosen.{name}", float(value)


def _of_engine(row: EngineRow, base: EngineRow | None) -> Iterator[tuple[str, float | None]]:
    yield "passed", float(row.gate.passed)
    yield "latency_ms_p50", words.p50(row)
    yield "speedup", words.speedup(row, base)
    yield "bytes", row.bytes
    if row.accuracy is not None:
        yield "dice", row.accuracy.dice.mean
        yield "iou", row.accuracy.iou.mean
        yield "dice_retained", row.accuracy.dice.retained
