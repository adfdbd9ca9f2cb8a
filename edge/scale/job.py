"""One deployment of a sweep, wherever it runs: done now, or kept from an earlier sweep where nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from edge import __version__
from edge.errors import EdgeError, first_line
from edge.files import recover_json, sha256_file, sha256_table, write_json
from edge.images.image_set import load_image_set
from edge.notebook.shown import Shown, Table
from edge.report.results import Report
from edge.report.store import REPORT
from edge.scale.matrix import Deployment
from edge.scale.quiet import side_by_side

SCHEMA = "edge.sweep/1"


class HasReport(Protocol):
    """What a deployment returns, as far as a sweep looks at it."""

    @property
    def report(self) -> Report:
        """Of the run."""
        ...


Deploy = Callable[..., HasReport]


@dataclass(frozen=True)
class EngineResult:
    """One engine of a deployment.

    Attributes:
        name, precision: of the engine.
        passed: the gate's verdict.
        dice, iou: means; None where it was not built.
        retained: Dice of the engine / of the reference.
        p50_ms: median; None where it was not timed.
    """

    name: str
    precision: str
    passed: bool
    dice: float | None
    iou: float | None
    retained: float | None
    p50_ms: float | None


@dataclass(frozen=True, repr=False)
class SweepResult(Shown):
    """What one deployment of a sweep came to.

    Attributes:
        name, network, target, precisions, gate: of the deployment.
        folder: of its run.
        status: of its report, or ``none``.
        chosen: name of an engine, None for none.
        reference_dice: of the float model.
        engines: one for each row of its report.
        fault: why there is no report.
        kept: it was done by an earlier sweep.
    """

    name: str
    network: str
    target: str
    precisions: str
    gate: str
    folder: str
    status: str
    chosen: str | None = None
    reference_dice: float | None = None
    engines: tuple[EngineResult, ...] = ()
    fault: str = ""
    kept: bool = False

    def __repr__(self) -> str:
        return f"<SweepResult {self.folder} {self.status}: {self.fault or self.chosen or 'no engine chosen'}>"

    def _table(self) -> Table:
        rows = [
            (f"{row.name} ◀" if row.name == self.chosen else row.name, *_cells(row.p50_ms, row.dice, row.retained),
             "passes" if row.passed else "fails")
            for row in self.engines
        ]  # fmt: skip
        return ("engine", "p50 ms", "Dice", "retained", "gate"), rows

    @property
    def engine(self) -> EngineResult | None:
        """The chosen one."""
        return next((row for row in self.engines if row.name == self.chosen), None)


def _cells(*values: float | None) -> tuple[float | str, ...]:
    return tuple("" if value is None else value for value in values)


def run_deployment(deploy: Deploy, deployment: Deployment) -> SweepResult:
    """Deploy, or take what an earlier sweep left there; a fault becomes a row.

    Whatever is large stays in the run folder: what comes back is a few numbers.

    Args:
        deploy: :func:`edge.deploy`.
        deployment: its keywords.
    """
    try:
        key = _fingerprint(deployment)
        kept = _kept(deployment, key)
        return kept if kept is not None else _deployed(deploy, deployment, key)
    except EdgeError as fault:
        return unfinished(deployment, str(fault))
    except OSError as fault:
        return unfinished(deployment, f"{fault.filename or deployment.out}: {fault.strerror or first_line(fault)}")


def unfinished(deployment: Deployment, why: str) -> SweepResult:
    """The row of a deployment that has no report."""
    return replace(_row(deployment, "none"), fault=why)


def _deployed(deploy: Deploy, deployment: Deployment, key: str | None) -> SweepResult:
    with side_by_side() as listen:
        report = deploy(**deployment.keywords, progress=listen).report
    result = summary(deployment, report)
    digest = sha256_file(deployment.out / REPORT)
    write_json(_record(deployment), {"schema": SCHEMA, "key": key, "report_sha256": digest, "result": asdict(result)})
    return result


def summary(deployment: Deployment, report: Report) -> SweepResult:
    """A report in a few numbers."""
    engines = tuple(
        EngineResult(
            row.name,
            row.precision,
            row.gate.passed,
            row.accuracy.dice.mean if row.accuracy else None,
            row.accuracy.iou.mean if row.accuracy else None,
            row.accuracy.dice.retained if row.accuracy else None,
            row.latency_ms.p50 if row.latency_ms else None,
        )
        for row in report.engines
    )
    return replace(
        _row(deployment, report.status), chosen=report.chosen, reference_dice=report.reference.dice, engines=engines
    )


def _row(deployment: Deployment, status: str) -> SweepResult:
    return SweepResult(
        deployment.name,
        deployment.network,
        deployment.target or "cpu",
        deployment.precisions or "the target's",
        deployment.gate,
        str(deployment.out),
        status,
    )


def _kept(deployment: Deployment, key: str | None) -> SweepResult | None:
    """The earlier result, where it is of the same network, images and options and its report is untouched."""
    record, report = recover_json(_record(deployment)), deployment.out / REPORT
    if key is None or not isinstance(record, dict) or record.get("key") != key or not report.is_file():
        return None
    if record.get("report_sha256") != sha256_file(report):
        return None
    row = dict(record["result"])
    row["engines"] = tuple(EngineResult(**engine) for engine in row["engines"])
    return replace(SweepResult(**row), folder=str(deployment.out), kept=True)


def _record(deployment: Deployment) -> Path:
    return deployment.out.with_name(f"{deployment.name}.json")


def _fingerprint(deployment: Deployment) -> str | None:
    """Of all that a deployment's result depends on; None where that cannot be told from files."""
    given = deployment.keywords
    model = Path(given["model"].partition("@")[0])
    if not model.exists():  # a module's callable: its code lies anywhere
        return None
    files = [_digest(model), *(_digest(Path(given[key])) for key in ("task", "weights") if key in given)]
    gate = Path(given.get("gate", ""))
    files += [_digest(gate)] if gate.is_file() else []
    options = {key: value for key, value in given.items() if key != "out"}
    return sha256_table([__version__, options, files, load_image_set(Path(given["data"])).sha256()])


def _digest(path: Path) -> str:
    """Of a file (with the weights that an ONNX file keeps beside it), or of every file of a folder."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    else:
        files = [path, *sorted(p for p in path.parent.glob(f"{path.stem}*.*data") if p.is_file())]
    return sha256_table([[str(p.relative_to(path.parent)), sha256_file(p)] for p in files])
