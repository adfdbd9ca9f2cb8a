"""One engine: build it, judge it, use it, time it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.options import (
    BackendOption,
    CountOption,
    DataOption,
    GateOption,
    GroupOption,
    JetpackOption,
    JsonOption,
    ModelArgument,
    QuietOption,
    SecondsOption,
    SmallOption,
    StrataOption,
    TargetOption,
    TaskOption,
    ThreadsOption,
    VerboseOption,
    WeightsOption,
)
from edge.cli.output import FAILED, PASSED, Output, command_line
from edge.errors import InputError, UselessReferenceError


def build(
    model: ModelArgument,
    data: DataOption,
    target: TargetOption,
    precision: Annotated[str, typer.Option(metavar="P", help="fp32, bf16, fp16, int8 or mixed")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="engine folder")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    jetpack: JetpackOption = None,
    backend: BackendOption = None,
    calibration_images: CountOption = 64,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """One engine, no verdict.

    Example: edge build models/unet --data calibration/dsb2018 --target cpu --precision int8 --out runs/unet-int8
    """
    from edge.pipeline.session import Request
    from edge.pipeline.single import build_single

    output = Output(as_json, quiet, verbose)
    request = Request(
        model=model,
        weights=weights,
        task=task,
        data=data,
        target=target,
        jetpack=jetpack,
        backend=backend,
        precisions=(precision,),
        gate="none",
        out=out,
        calibration_images=calibration_images,
        allow_small=True,
        command=command_line(),
    )
    with output.terminal() as terminal:
        engine = build_single(request, terminal)
    summary = engine.summary()
    output.show(summary, "\n".join(f"{key}: {value}" for key, value in summary.items()))


def check(
    subjects: Annotated[list[str], typer.Argument(metavar="ENGINE... | MODEL", help="engine folders, or one model")],
    data: DataOption,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="float model to compare with; an ONNX file without a task takes the first engine's"
        ),
    ] = None,
    gate: GateOption = "99.9",
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    weights: WeightsOption = None,
    task: TaskOption = None,
    strata: StrataOption = None,
    group: GroupOption = None,
    allow_small: SmallOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Dice, IoU and the gate, through the real engine; with a model instead, its float scores and no gate.

    Example: edge check runs/unet/engines/int8 --data calibration/dsb2018 --reference models/unet
    """
    from edge.cli.tables import accuracy_text, scores_text
    from edge.pipeline import single

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        if reference is None:
            scores, fault = single.score_model(_only(subjects), data, split, weights, task, terminal)
            output.show(scores, scores_text(scores))
            if fault is not None:
                raise UselessReferenceError(fault)
            return
        engines = [Path(subject) for subject in subjects]
        rows = single.check_engines(
            engines, data, split, reference, weights, task, gate, strata, group, allow_small, terminal
        )
    document = [{"engine": name, "accuracy": asdict(a), "gate": asdict(v)} for name, a, v in rows]
    output.show(document, accuracy_text(rows))
    raise typer.Exit(PASSED if any(verdict.passed for _, _, verdict in rows) else FAILED)


def segment(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="engine folder")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="PNG, JPEG, TIFF or BMP, any size")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder for the masks")],
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Masks as PNG, at the image's size, under its stem: 0 and 255, or class indices where there are more classes.

    Example: edge segment runs/unet/engines/int8 image.png --out masks
    """
    from edge.pipeline.single import segment_with

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        masks = segment_with(engine, images, out, threads, terminal)
    output.show([str(mask) for mask in masks], "\n".join(map(str, masks)))


def profile(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="engine folder")],
    seconds: SecondsOption = 10.0,
    against: Annotated[Path | None, typer.Option(metavar="ENGINE", help="interleave with this one")] = None,
    image: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="time file to mask on it; may repeat")
    ] = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="time pixels to mask too, with the task on the host and inside the engine")
    ] = False,
    layers: Annotated[bool, typer.Option("--layers", help="time every layer")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="throughput over batches and streams")] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Latency with its conditions and spread; --against gives the ratio of two engines from one interleaved run.

    Example: edge profile runs/unet/engines/int8 --against runs/unet/engines/fp32 --seconds 1
    """
    from edge.cli.tables import profile_text
    from edge.pipeline.profile import Extras, profile_engines

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        extras = Extras(tuple(image or ()), pixels, layers, sweep)
        found = profile_engines([engine, *([against] if against else [])], seconds, threads, extras, terminal)
    output.show(found.to_json(), profile_text(found))


def _only(subjects: list[str]) -> str:
    if len(subjects) > 1:
        raise InputError("several subjects without --reference; give one model, or engines with --reference MODEL")
    return subjects[0]
