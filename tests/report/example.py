"""A realistic run made up from drawn nuclei: real scores, real masks, invented times. Seeded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.attribution import LayerLoss
from edge.accuracy.compare import Accuracy, compare, reference_scores
from edge.accuracy.counts import count, stack
from edge.accuracy.evaluate import Evaluation
from edge.accuracy.gate import Verdict, judge, load_gate
from edge.backends.engine import Layer
from edge.latency.footprint import Footprint
from edge.latency.stages import Stages
from edge.latency.statistics import Latency
from edge.latency.sweep import Throughput
from edge.report.details import Picture, image_scores, quantiles
from edge.report.results import (
    Convergence,
    Data,
    DataPart,
    EngineRow,
    Estimated,
    FusionLog,
    FusionStep,
    ModelFacts,
    Reference,
    Report,
)
from edge.task import SegmentationTask

SIZE, COUNT = 96, 24
TASK = SegmentationTask(size=(SIZE, SIZE), classes=("nuclei",))
# name, precision, rest, logit noise against the float model, median ms, parity in dB
ENGINES = (
    ("fp32", "fp32", "fp32", 0.0005, 6.84, 131.2),
    ("bf16", "bf16", "bf16", 0.01, 4.12, 46.8),
    ("int8", "int8", "fp32", 0.9, 4.71, 38.3),
    ("mixed", "mixed", "bf16", 0.03, 3.37, 41.9),
)
KINDS = (("Convolution", 0.16), ("Interpolate", 0.3), ("Concat", 0.2), ("GroupConvolution", 0.24), ("Eltwise", 0.1))

LOST = (
    LayerLoss("/decoder/stage0/block0/convolution", "Conv", "a", 24.1, 31.7),
    LayerLoss("/decoder/stage2/block22/convolution", "Conv", "b", 22.8, 36.2),
)


SWEPT = (
    Throughput(1, 1, 291.4, 3.41, 583),
    Throughput(1, 2, 310.2, 6.44, 621),
    Throughput(4, 1, None, None, 0, "the network has batch 1 built in; export it with a free batch"),
)


@dataclass(frozen=True)
class Example:
    """A report and the pictures that go with it."""

    report: Report
    pictures: tuple[Picture, ...]


@cache
def example() -> Example:
    """A run that passed: four engines, one precision refused."""
    rng = np.random.default_rng(7)
    logits, truths, pixels = zip(*(_scene(rng) for _ in range(COUNT)), strict=True)
    names = tuple(f"nuclei-{index:03d}" for index in range(COUNT))
    modality = tuple("fluorescence" if index % 3 else "histology" for index in range(COUNT))
    float_logits = [values + _blurred(rng, 0.5) for values in logits]

    def evaluation(noise: float) -> Evaluation:
        outputs = np.stack([v + _blurred(rng, noise) for v in float_logits]).astype(np.float32)[:, None]
        labels = tuple(TASK.labels(output, (SIZE, SIZE)) for output in outputs)
        counts = stack([count(mine, truth, TASK) for mine, truth in zip(labels, truths, strict=True)])
        return Evaluation(TASK, names, counts, outputs, labels, truths, {"modality": modality})

    reference = evaluation(0.0)
    evaluations = {name: evaluation(noise) for name, _, _, noise, _, _ in ENGINES}
    gate = load_gate("99.9")
    rows = []
    for name, precision, rest, _, ms, parity in ENGINES:
        accuracy = compare(evaluations[name], reference, parity, strata="modality")
        rows.append(_row(rng, name, precision, accuracy, judge(gate, accuracy, precision, rest), ms))
    refusal = "fp16 would silently run as BF16 on this CPU; ask for bf16"
    rows.insert(2, EngineRow("fp16", "fp16", "openvino", None, None, None, None, False, None, None, (),
                             Verdict("99.9", False, (refusal,))))  # fmt: skip
    scores = image_scores(reference, evaluations)
    worst = np.argsort([i - r for i, r in zip(scores.engines["int8"], scores.reference, strict=True)])[:3]
    pictures = tuple(
        Picture(names[i], pixels[i], truths[i], reference.labels[i], {n: e.labels[i] for n, e in evaluations.items()})
        for i in worst
    )
    passing = [row for row in rows if row.gate.passed and row.latency_ms]
    chosen = min(passing, key=lambda row: row.latency_ms.p50 if row.latency_ms else 0.0).name
    report = Report(
        status="passed",
        model=ModelFacts("litenext", "models/litenext", "5e" * 32, 711_201, 9_710_000_000),
        task=TASK.to_table(),
        target={"name": "cpu", "title": "This machine's CPU (x86-64)", "backend": "openvino"},
        data=Data(
            DataPart("dsb2018", 64, "aa" * 32, "train"),
            DataPart("dsb2018", 66, "bb" * 32, "val"),
            DataPart("dsb2018", COUNT, "cc" * 32, "test"),
        ),
        environment={
            "cpu": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            "isa": ["avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"],
            "gpu": None,
            "threads": 2,
            "versions": {"segedge": "0.1.0", "openvino": "2026.4.1", "onnxruntime": "1.31.1", "torch": "2.13.0"},
            "os": "Linux 6.1",
            "power_mode": None,
            "governor": "unknown",
        },
        command="edge deploy models/litenext --data calibration/dsb2018 --out out/demo",
        reference=Reference(**reference_scores(reference), backend="onnxruntime"),
        engines=tuple(rows),
        chosen=chosen,
        timings={
            "load": 4.2,
            "fuse": 11.8,
            "calibrate": 9.1,
            "quantize": 1.3,
            "build": 14.6,
            "check": 38.0,
            "profile": 41.5,
        },
        images=scores,
        fusion=FusionLog(
            (
                FusionStep("fold-batch-norm", 48, 48, 12_582_912, 18_432),
                FusionStep("conv-before-upsample", 6, 0, 1_310_720_000, 0),
                FusionStep("split-conv-over-concat", 4, -4, 0, 0),
            ),
            3.8e-6,
            {"nearest-upsample-to-slices": "0.94× on this target: 7.28 ms against 6.84 ms"},
        ),
        calibration=Convergence(
            (1, 2, 4, 8, 16, 32, 64),
            (0.31, 0.22, 0.14, 0.08, 0.04, 0.02, 0.0),
            (0.78, 0.63, 0.55, 0.31, 0.22, 0.11, 0.0),
        ),
        created="2026-11-21T09:14:00Z",
    )
    return Example(report, pictures)


def _row(
    rng: np.random.Generator, name: str, precision: str, accuracy: Accuracy, verdict: Verdict, ms: float
) -> EngineRow:
    samples = ms * (0.985 + rng.gamma(2.0, 0.012, 1500))
    shaky = name == "int8"
    if shaky:
        samples[::40] *= 1.6
    cov = float(samples.std() / samples.mean())
    p50, p90, p95, p99 = (float(v) for v in np.percentile(samples, (50, 90, 95, 99)))
    latency = Latency(
        p50=p50, p90=p90, p95=p95, p99=p99, mean=float(samples.mean()), min=float(samples.min()), cov=cov,
        n=len(samples), warmup=120,
        conditions={"threads": 2, "precision_hint": "bf16" if name in ("bf16", "mixed") else "f32", "batch": 1,
                    "timed_region": "input copied in, inference, output copied out", "affinity": [0, 1], "streams": 1},
        trustworthy=not shaky,
        warnings=(f"CoV {100 * cov:.1f} % is over 2.5 %: other work on this machine",) if shaky else (),
    )  # fmt: skip
    return EngineRow(
        name=name,
        precision=precision,
        backend="openvino",
        path=f"engines/{name}",
        bytes={"fp32": 2_861_220, "bf16": 2_861_220}.get(name, 812_340),
        sha256="d1" * 32,
        build_seconds=2.4,
        simulated=False,
        accuracy=accuracy,
        latency_ms=latency,
        layers=tuple(_layers(rng, name, ms)),
        gate=verdict,
        latency_quantiles_ms=quantiles(samples),
        lost=LOST if name in ("int8", "mixed") else (),
        image_to_mask_ms=Stages(0.41, 1.87, None, 1.03 * p50, None, 0.92, 1.03 * p50 + 3.2, 1.1 * p50 + 3.6, 8, 240,
                                ("foreign load: other processes used 0.31 cores meanwhile; stop them",) * shaky),
        memory=Footprint(231_400_000 if precision == "fp32" else 208_100_000, 122_600_000, True),
        estimated=Estimated("estimate", 0.62 * ms, 0.62 * ms / p50 - 1, "measured here: a convolution, a copy",
                            ("every layer reaches the device's peak arithmetic or memory rate",)),
        pixels_to_mask_ms=replace(latency, p50=1.04 * p50, p90=1.04 * p90, p99=1.04 * p99),
        throughput=SWEPT if name == "mixed" else (),
    )  # fmt: skip


def _layers(rng: np.random.Generator, name: str, total: float) -> list[Layer]:
    shares = rng.dirichlet(np.full(44, 0.6))
    layers = []
    for index, share in enumerate(shares):
        op = KINDS[index % len(KINDS)][0]
        quantized = name in ("int8", "mixed") and op == "Convolution" and index > 4
        rest = "bf16" if name in ("bf16", "mixed") else "fp32"
        reason = ""
        if name in ("int8", "mixed") and op == "GroupConvolution":
            reason = "depthwise: INT8 gains nothing"
        elif name in ("int8", "mixed") and op == "Convolution" and not quantized:
            reason = "costs 0.0031 Dice for 0.02 ms"
        precision = "int8" if quantized else rest
        layers.append(
            Layer(f"/decoder/stage{index // 11}/block{index}/{op.lower()}", op, precision, total * share, reason)
        )
    return layers


def _scene(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Logits ``[h, w]``, truth and RGB pixels of a few round nuclei."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    depth = np.full((SIZE, SIZE), -9.0)
    for _ in range(rng.integers(4, 11)):
        y, x = rng.uniform(8, SIZE - 8, 2)
        radius, stretch = rng.uniform(5, 12), rng.uniform(0.7, 1.4)
        depth = np.maximum(depth, radius - np.hypot((rows - y) * stretch, columns - x))
    truth = (depth > 0).astype(np.uint8)
    light = 40 + 130 / (1 + np.exp(-depth)) + 9 * rng.standard_normal(depth.shape)
    pixels = np.clip(np.stack([0.75 * light, 0.6 * light, 1.1 * light], axis=-1), 0, 255).astype(np.uint8)
    return depth * 1.4, truth, pixels


def _blurred(rng: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    """Noise that moves contours rather than peppering pixels."""
    noise = rng.standard_normal((SIZE + 6, SIZE + 6))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, (7, 7)).mean(axis=(2, 3))
    return sigma * 7.0 * smooth
