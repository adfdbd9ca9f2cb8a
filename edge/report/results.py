"""Everything a run found out, as frozen dataclasses: ``report.json`` is these, key for key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edge.accuracy.attribution import LayerLoss
from edge.accuracy.compare import Accuracy
from edge.accuracy.gate import Verdict
from edge.backends.engine import Layer
from edge.latency.footprint import Footprint
from edge.latency.power import Energy
from edge.latency.stages import Stages
from edge.latency.statistics import Latency, Ratio
from edge.latency.sweep import Throughput
from edge.notebook.shown import Shown, Table
from edge.quantization.ranges import Convergence

SCHEMA = "edge.report/1"
Status = Literal["passed", "failed", "unconfirmed"]


@dataclass(frozen=True)
class ModelFacts:
    """The source network.

    Attributes:
        name, source: short name, and where it came from as the user wrote it.
        sha256: of the float graph all engines start from.
        parameters: trainable; None where the file does not say.
        macs: multiply-accumulates of convolutions, linear and matrix products, batch 1 at the task's size.
        file_sha256: of the checkpoint, or of the ONNX file, as the user gave it; None for a network in memory.
    """

    name: str
    source: str
    sha256: str
    parameters: int | None
    macs: int | None
    file_sha256: str | None = None


@dataclass(frozen=True)
class DataPart:
    """The images one stage saw, and the split they are from."""

    name: str
    images: int
    sha256: str
    split: str | None = None


@dataclass(frozen=True)
class Data:
    """Images for ranges, for decisions, and for the verdict: never the same ones."""

    calibration: DataPart | None
    search: DataPart | None
    evaluation: DataPart


@dataclass(frozen=True)
class Reference:
    """Scores of the float source model on the evaluation images.

    Attributes:
        dice, iou, recall, precision: means over images, then classes.
        micro_dice, micro_iou: over the pooled pixels of all images.
        backend: what ran it.
        outputs_sha256: of ``reference.npz``, which holds its outputs; "" where the run keeps none.
    """

    dice: float
    iou: float
    recall: float
    precision: float
    micro_dice: float | None = None
    micro_iou: float | None = None
    backend: str = ""
    outputs_sha256: str = ""


@dataclass(frozen=True)
class Estimated:
    """What the device's peaks alone would allow: a roofline, never a measurement and never in a measured column.

    Attributes:
        kind: always ``estimate``.
        ms: no engine of this precision is expected to be faster.
        error: estimate / measured median - 1; None where nothing was measured.
        source: of the peaks.
        assumptions: one sentence each.
    """

    kind: str
    ms: float
    error: float | None
    source: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineRow:
    """One precision that was asked for, whether or not an engine came of it.

    Attributes:
        name: unique in the report (``fp32``, ``int8``, ``mixed-bf16``).
        precision: fp32, bf16, fp16, int8 or mixed: what really runs.
        backend: the compiler.
        path: engine folder relative to the report; None where nothing was built.
        bytes, sha256, build_seconds: of the artefact; None where nothing was built.
        simulated: accuracy was measured on another machine than the target.
        accuracy, latency_ms: None where it was not measured.
        layers: the compiler's own account.
        gate: the verdict; a row without an engine says there why.
        latency_quantiles_ms: 201 quantiles from the fastest run to the slowest in steps of 0.5 %.
        lost: where accuracy was lost, layer by layer, worst first; empty for engines that round nothing.
        image_to_mask_ms: steps from an image file to its mask; None where it was not measured.
        memory: of a process that only loads this engine and segments; None where it was not measured.
        estimated: from the device's peaks, with its error where both exist; None where nothing is known.
        pixels_to_mask_ms: uint8 pixels at the network's size to the mask, the task being inside the engine; timed in
            the same interleaved run as ``latency_ms``, which is compute alone. None where it was not measured.
        throughput: over batches and streams; empty where it was not asked for.
        energy: millijoules for each image, from this machine's own meters; None where none can be read.
        against_fp32: median time over the FP32 engine's, round by round of one interleaved run (below 1: faster); None
            where they were not timed in turn.
    """

    name: str
    precision: str
    backend: str
    path: str | None
    bytes: int | None
    sha256: str | None
    build_seconds: float | None
    simulated: bool
    accuracy: Accuracy | None
    latency_ms: Latency | None
    layers: tuple[Layer, ...]
    gate: Verdict
    latency_quantiles_ms: tuple[float, ...] = ()
    lost: tuple[LayerLoss, ...] = ()
    image_to_mask_ms: Stages | None = None
    memory: Footprint | None = None
    estimated: Estimated | None = None
    pixels_to_mask_ms: Latency | None = None
    throughput: tuple[Throughput, ...] = ()
    energy: Energy | None = None
    against_fp32: Ratio | None = None


@dataclass(frozen=True)
class ImageScores:
    """Dice of every evaluation image, in one order: mean over the classes.

    Attributes:
        names: image names.
        reference: of the float source.
        engines: engine name to its scores.
    """

    names: tuple[str, ...]
    reference: tuple[float, ...]
    engines: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class FusionStep:
    """One exact rewrite: how often it applied, and what it saved (before - after)."""

    rewrite: str
    times: int
    nodes: int = 0
    macs: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class FusionLog:
    """What fusion did to the graph.

    Attributes:
        steps: in the order applied.
        max_error: largest absolute change of any output over the images it was proven on.
        refused: rewrite to one phrase why it was left out (slower on this target).
        tried: sets of rewrites that were timed, in their order, which the graph alone decides.
        untried: the end of that list, cut by the budget.
    """

    steps: tuple[FusionStep, ...]
    max_error: float | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    tried: tuple[tuple[str, ...], ...] = ()
    untried: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """A whole run.

    Attributes:
        status: passed, failed, or unconfirmed (the target is not this machine).
        task, target, environment: plain tables, as their own modules give them.
        command: the line that reproduces the run.
        chosen: name of the fastest engine that passes, or None.
        timings: stage to seconds.
        images, fusion, calibration: series behind the plots; None where they were not kept.
        notes: sentences for the reader that belong to no single engine.
        created: ISO 8601 time in UTC.
    """

    status: Status
    model: ModelFacts
    task: Mapping[str, Any]
    target: Mapping[str, Any]
    data: Data
    environment: Mapping[str, Any]
    command: str
    reference: Reference
    engines: tuple[EngineRow, ...]
    chosen: str | None
    timings: Mapping[str, float]
    images: ImageScores | None = None
    fusion: FusionLog | None = None
    calibration: Convergence | None = None
    notes: tuple[str, ...] = ()
    created: str | None = None

    def __repr__(self) -> str:
        chosen = self.chosen or "no engine chosen"
        return f"<Report {self.model.name} for {self.target.get('name')}, {self.status}: {chosen}>"

    def _table(self) -> Table:
        from edge.report.summary import run_table

        return run_table(self)

    @property
    def chosen_row(self) -> EngineRow | None:
        """The row of the chosen engine; None where none was chosen."""
        return None if self.chosen is None else self.engine(self.chosen)

    def find(self, name: str) -> EngineRow | None:
        """The row of that name; None where there is none."""
        return next((row for row in self.engines if row.name == name), None)

    def engine(self, name: str) -> EngineRow:
        """The row of that name.

        Raises:
            KeyError: there is none.
        """
        row = self.find(name)
        if row is None:
            raise KeyError(name)
        return row

    def to_json(self) -> dict[str, Any]:
        """What ``report.json`` holds."""
        from edge.storage.codec import encode

        return {"schema": SCHEMA, **encode(self)}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Report:
        """Read back :meth:`to_json`; keys this version does not know are ignored.

        Raises:
            ValueError: a key is missing or of another kind; the message names it.
        """
        from edge.storage.codec import decode

        return decode(cls, dict(table))
