"""From what a run measured to what its report says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edge.accuracy.attribution import LayerLoss
from edge.accuracy.checked import Checked
from edge.accuracy.compare import reference_scores
from edge.accuracy.evaluate import Evaluation
from edge.accuracy.gate import Verdict
from edge.backends.engine import Engine, Layer
from edge.files import sha256_file
from edge.fusion import Fused
from edge.graph.macs import count_macs
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.costs import Costs
from edge.latency.statistics import Measured, Ratio, paired
from edge.latency.sweep import Throughput
from edge.pipeline.session import Job
from edge.quantization.ranges import Ranges
from edge.report.details import image_scores
from edge.report.results import (
    Data,
    DataPart,
    EngineRow,
    Estimated,
    FusionLog,
    FusionStep,
    ModelFacts,
    Reference,
    Report,
    Status,
)
from edge.search.bench import Refusal


def engine_row(
    engine: Engine,
    run: Path,
    checked: Checked,
    layers: tuple[Layer, ...] = (),
    latency: Measured | None = None,
    lost: tuple[LayerLoss, ...] = (),
    simulated: bool = False,
    costs: Costs = Costs(),  # noqa: B008 - frozen and empty
    estimated: Estimated | None = None,
    pixels: Measured | None = None,
    throughput: tuple[Throughput, ...] = (),
    baseline: Measured | None = None,
) -> EngineRow:
    """The report's row of an engine that was built and checked."""
    return EngineRow(
        name=engine.name,
        precision=engine.precision,
        backend=engine.backend,
        path=engine.folder.relative_to(run).as_posix(),
        bytes=engine.bytes,
        sha256=engine.artefact_sha256[engine.artefact],
        build_seconds=round(engine.build_seconds, 3),
        simulated=simulated,
        accuracy=checked.accuracy,
        latency_ms=latency.summary() if latency else None,
        layers=layers,
        gate=checked.verdict,
        latency_quantiles_ms=latency.quantiles_ms() if latency else (),
        lost=lost,
        image_to_mask_ms=costs.stages,
        memory=costs.memory,
        energy=costs.energy,
        estimated=estimated,
        pixels_to_mask_ms=pixels.summary() if pixels else None,
        throughput=throughput,
        against_fp32=_against(latency, baseline),
    )


def _against(latency: Measured | None, baseline: Measured | None) -> Ratio | None:
    """The paired ratio of two engines over the rounds they had together; None where one was not timed."""
    return None if latency is None or baseline is None else paired(latency.blocks, baseline.blocks)


def refused_row(refusal: Refusal, backend: str, gate: str) -> EngineRow:
    """The report's row of a precision that was asked for and did not come to an engine."""
    return EngineRow(
        name=refusal.name,
        precision=refusal.precision,
        backend=backend,
        path=None,
        bytes=None,
        sha256=None,
        build_seconds=None,
        simulated=False,
        accuracy=None,
        latency_ms=None,
        layers=(),
        gate=Verdict(gate, False, (refusal.reason,)),
    )


def assemble(
    job: Job,
    reference: Evaluation,
    rows: Sequence[EngineRow],
    chosen: str | None,
    evaluations: Mapping[str, Evaluation],
    fused: Fused,
    ranges: Ranges | None,
    notes: tuple[str, ...] = (),
) -> Report:
    """The whole report of a run.

    Args:
        job: what was asked for.
        reference: the float source on the evaluation images.
        rows: one for each precision asked for.
        chosen: name of the fastest engine that passes.
        evaluations: engine name to what it made of the evaluation images.
        fused: the rewrites' account.
        ranges: what calibration learned; None where nothing was quantized.
        notes: sentences for the reader that belong to no single engine.
    """
    model, splits = job.model, job.splits
    facts = dict(model.facts or {})
    return Report(
        status=_status(job, rows, chosen),
        model=ModelFacts(
            model.name, model.source, model.sha256, facts.get("parameters"), count_macs(model), _file_sha256(model)
        ),
        task=model.task.to_table(),
        target=job.target.to_json(),
        data=Data(
            calibration=_part(splits.calibration, "train"),
            search=_part(splits.search, "val"),
            evaluation=_part(splits.evaluation, "test"),
        ),
        environment=job.bench.environment(),
        command=job.request.command,
        reference=Reference(
            backend="onnxruntime, graph optimizations off", outputs_sha256="", **reference_scores(reference)
        ),
        engines=tuple(sorted(rows, key=lambda r: (r.latency_ms is None, r.latency_ms.p50 if r.latency_ms else 0.0))),
        chosen=chosen,
        timings={name: round(seconds, 3) for name, seconds in job.clock.seconds.items()},
        images=image_scores(reference, evaluations),
        fusion=_fusion_log(fused),
        calibration=ranges.convergence if ranges else None,
        notes=(*model.notes, *notes),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _status(job: Job, rows: Sequence[EngineRow], chosen: str | None) -> Status:
    if chosen is not None:
        return "passed"
    passing = any(row.gate.passed for row in rows)
    return "unconfirmed" if passing and not job.bench.measured else "failed"


def _file_sha256(model: Model) -> str | None:
    """Of what the user gave: the checkpoint, whose hash loading kept, or the ONNX file."""
    kept = (model.facts or {}).get("weights")
    if isinstance(kept, str):
        return kept
    path = Path(model.source)
    return sha256_file(path) if path.is_file() else None


def _part(images: ImageSet, split: str) -> DataPart:
    return DataPart(images.name, len(images), images.sha256(), split)


def _fusion_log(fused: Fused) -> FusionLog:
    steps = tuple(FusionStep(a.rewrite, a.times, a.nodes, a.macs, a.bytes) for a in fused.applied)
    refused = {r.rewrite: f"changed outputs by {r.relative_error:.1e}" for r in fused.refused}
    return FusionLog(steps, fused.max_error, refused, fused.tried, fused.untried)
