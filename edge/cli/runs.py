"""Whole runs: the pipeline, its reports, and its way to a device."""

from __future__ import annotations

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


def deploy(
    model: ModelArgument,
    data: DataOption,
    target: TargetOption = "cpu",
    precisions: Annotated[
        str | None, typer.Option(metavar="P,P", help="of fp32,bf16,fp16,int8,mixed (default: the target's)")
    ] = None,
    gate: GateOption = "99.9",
    budget: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="after which the precision search starts nothing new")
    ] = 300.0,
    bias_correction: Annotated[
        bool, typer.Option("--bias-correction", help="correct INT8 biases in the search")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="run folder (default runs/NAME-TARGET)")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    jetpack: JetpackOption = None,
    calibration_images: CountOption = 64,
    threads: ThreadsOption = None,
    seconds: SecondsOption = 3.0,
    strata: StrataOption = None,
    group: GroupOption = None,
    allow_small: SmallOption = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="keep pictures and names out of the report")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="throughput of the chosen engine as well")] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The whole pipeline: the fastest engine that passes the gate, and a report that says how that is known.

    Example: edge deploy models/unet --data calibration/dsb2018 --out runs/unet
    """
    from edge.cli.tables import report_text
    from edge.pipeline.deploy import run_deploy
    from edge.pipeline.session import Request

    output = Output(as_json, quiet, verbose)
    request = Request(
        model=model,
        weights=weights,
        task=task,
        data=data,
        target=target,
        jetpack=jetpack,
        precisions=tuple(precisions.split(",")) if precisions else None,
        gate=gate,
        budget_seconds=budget,
        bias_correction=bias_correction,
        out=out,
        calibration_images=calibration_images,
        threads=threads,
        latency_seconds=seconds,
        strata=strata,
        group=group,
        allow_small=allow_small,
        report_images=not no_images,
        sweep=sweep,
        backend=backend,
        command=command_line(),
    )
    with output.terminal() as terminal:
        report, folder = run_deploy(request, terminal)
    output.show(report.to_json(), f"{report_text(report)}\n\n{folder / 'report.html'}")
    raise typer.Exit(FAILED if report.status == "failed" else PASSED)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help=".json and .md go beside it")] = Path("report.html"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """One report over several runs, side by side.

    Example: edge report runs/unet --out runs/all.html
    """
    from edge.report import write_merged

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        terminal.stage("report")
        reports = write_merged(runs, out)
    output.show([r.to_json() for r in reports], str(out))


def bundle(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder of edge deploy for this target")],
    target: TargetOption,
    out: Annotated[Path, typer.Option(metavar="FILE.tar.gz", help="the archive")],
    jetpack: JetpackOption = None,
    data: Annotated[Path | None, typer.Option(metavar="SET", help="default: the set that the run was made on")] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="pack no pictures; the device brings its own")] = False,
    allow_small: Annotated[bool, typer.Option("--allow-small", help="pack fewer than 24 images")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Pack a run for a device, which builds, proves and times its own engine from it, offline.

    Example: edge bundle runs/unet --target cpu --out runs/unet.tar.gz --allow-small
    """
    from edge.bundle.pack import pack, warnings
    from edge.targets.target import find_target

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        terminal.stage("bundle")
        path = pack(run, find_target(target), jetpack, not no_images, out, data, allow_small)
        for warning in warnings(not no_images):
            terminal.say(f"warning: {warning}")
    output.show({"path": str(path), "bytes": path.stat().st_size}, str(path))


def verify(
    packed: Annotated[Path, typer.Argument(metavar="BUNDLE", help="archive, or the folder it was unpacked into")],
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="run folder (default runs/NAME-verified)")] = None,
    seconds: SecondsOption = 10.0,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="check on these, not on the bundle's")] = None,
    runtime: Annotated[Path | None, typer.Option(metavar="FILE", help="prove it in this segedge-run too")] = None,
    allow_small: SmallOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """On the device: preflight, build, check, profile, and the fastest engine that passes.

    Example: edge verify runs/unet.tar.gz --out runs/unet-verified --seconds 1
    """
    from edge.cli.tables import report_text
    from edge.pipeline.verify import verify as run_verify

    output = Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        terminal.stage("verify")
        report, folder = run_verify(
            packed,
            out,
            seconds=seconds,
            images=images,
            allow_small=allow_small,
            runtime=runtime,
            say=terminal.detail,
        )
    output.show(report.to_json(), f"{report_text(report)}\n\n{folder / 'report.html'}")
    raise typer.Exit(FAILED if report.status == "failed" else PASSED)
