"""Single stages of the pipeline, file to file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.options import (
    CountOption,
    DataOption,
    JsonOption,
    ModelArgument,
    QuietOption,
    TargetOption,
    TaskOption,
    ThreadsOption,
    VerboseOption,
    WeightsOption,
)
from edge.cli.output import Output


def fuse(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", help="the rewritten graph")],
    target: TargetOption = "cpu",
    weights: WeightsOption = None,
    task: TaskOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Exact rewrites only, file to file; on this machine the fastest set is found by measuring.

    Example: edge fuse runs/unet/source.onnx --out runs/fused.onnx
    """
    from edge.cli.tables import table_text
    from edge.pipeline.single import fuse_to_file

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        fused = fuse_to_file(model, weights, task, target, out, threads, terminal)
    rows = [(a.rewrite, a.times, a.nodes, a.macs, a.bytes) for a in fused.applied]
    document = {"path": str(out), "applied": [asdict(a) for a in fused.applied], "max_error": fused.max_error}
    table = table_text(("rewrite", "times", "nodes saved", "MACs saved", "bytes saved"), rows)
    output.show(document, f"{table}\n\nlargest change of an output: {fused.max_error:.1e}\n{out}")


def calibrate(
    model: ModelArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="ranges.json", help="what calibration learned")],
    weights: WeightsOption = None,
    task: TaskOption = None,
    calibration_images: CountOption = 64,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Ranges of a graph's activations from real training images; one calibration serves every compiler.

    Example: edge calibrate runs/fused.onnx --data calibration/dsb2018 --out runs/ranges.json
    """
    from edge.pipeline.single import calibrate_to_file

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        ranges = calibrate_to_file(model, weights, task, data, calibration_images, out, terminal)
    document = {"path": str(out), "tensors": len(ranges.tensors), "images": ranges.images}
    output.show(document, f"{len(ranges.tensors)} tensors from {ranges.images} images\n{out}")


def quantize(
    model: ModelArgument,
    ranges: Annotated[Path, typer.Option(metavar="ranges.json", help="from edge calibrate, of this very graph")],
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", help="the graph with Q/DQ")],
    scheme: Annotated[str, typer.Option(help="openvino, openvino-identical or tensorrt")] = "openvino",
    plan: Annotated[Path | None, typer.Option(metavar="plan.json", help="layers to leave float")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write the Q/DQ graph for one compiler.

    Example: edge quantize runs/fused.onnx --ranges runs/ranges.json --out runs/int8.onnx
    """
    from edge.pipeline.single import quantize_to_file

    used = quantize_to_file(model, weights, task, ranges, scheme, plan, out)
    document = {"path": str(out), "int8": sorted(used.int8), "float": dict(used.reasons)}
    lines = [f"{len(used.int8)} layers in INT8", *(f"{name}: {why}" for name, why in used.reasons.items()), str(out)]
    Output(as_json, quiet, verbose).show(document, "\n".join(lines))
