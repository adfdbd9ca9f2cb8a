"""Deploy a network: the fastest engine for a target that still segments as well, with a report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    BackendOption,
    CountOption,
    DataOption,
    DequantizeOption,
    GateOption,
    GroupOption,
    JetpackOption,
    ModelArgument,
    Option,
    OverlapOption,
    PathLike,
    SmallOption,
    StrataOption,
    TaskOption,
    ThreadsOption,
    WeightsOption,
    effort_names,
    precision_names,
    target_names,
)
from edge.api.progress import Listener, Reporter
from edge.api.run import FleetRun, Run

if TYPE_CHECKING:
    from edge.boards.address import Address
    from edge.handover.mlflow import Tracker
    from edge.pipeline.session import Request

STAGES = (
    "images",
    "load",
    "reference",
    "fuse",
    "calibrate",
    "build",
    "check",
    "search",
    "build mixed",
    "check mixed",
    "profile",
    "attribute",
    "pixels",
    "layers",
    "costs",
    "report",
)
"""Stages of a deployment, in order; ``sweep`` comes only where it is asked for."""


@checked
def deploy(
    model: ModelArgument,
    data: DataOption,
    target: Annotated[
        str | None, Option("device, see edge targets (default: cpu, or what the board is)", "T", values=target_names)
    ] = None,
    precisions: Annotated[
        str | Sequence[str] | None,
        Option("of fp32,bf16,fp16,int8,mixed (default: the target's)", "P,P", values=precision_names),
    ] = None,
    gate: GateOption = "99.9",
    effort: Annotated[
        str, Option("default: an answer soon; thorough: search and time longer", "E", values=effort_names)
    ] = "default",
    budget: Annotated[
        float | None,
        Option(
            "seconds for fusion and search together (default: 45, and 4 per GMAC of the network)", "SECONDS", least=0
        ),
    ] = None,
    bias_correction: Annotated[bool, Option("correct INT8 biases in the search")] = False,
    dequantize: DequantizeOption = False,
    out: Annotated[PathLike | None, Option("run folder (default runs/NAME-TARGET)", "RUN")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    jetpack: JetpackOption = None,
    calibration_images: CountOption = 64,
    threads: ThreadsOption = None,
    seconds: Annotated[
        float | None, Option("seconds of timing for each engine (default: 1; thorough 3)", "SECONDS", least=0.001)
    ] = None,
    strata: StrataOption = None,
    group: GroupOption = None,
    allow_small: SmallOption = False,
    allow_overlap: OverlapOption = False,
    images: Annotated[bool, Option("keep pictures and names out of the report")] = True,
    sweep: Annotated[bool, Option("throughput of the chosen engine as well")] = False,
    explain: Annotated[bool, Option("costs and losses of every engine, not of the chosen one alone")] = False,
    backend: BackendOption = None,
    on: Annotated[
        str | Sequence[str] | None, Option("build, run and time on this board over SSH; may be several", "user@host,…")
    ] = None,
    log: Annotated[str | None, Option("log the finished run: mlflow, or mlflow:URI", "TRACKER")] = None,
    progress: Listener | None = None,
) -> Run:
    """The whole pipeline: the fastest engine that passes the gate, and a report that says how that is known.

    Example: edge deploy models/unet --data calibration/dsb2018 --out runs/unet

    Args:
        model: path, ``package.module:callable``, ``nn.Module`` in evaluation form, ``onnx.ModelProto`` or model.
        data: folder, :class:`~edge.images.image_set.ImageSet`, or ``(image, mask[, split[, name]])`` tuples, images
            ``[h, w]`` or ``[h, w, 3]`` uint8. Arrays are hashed into the report and not copied to the run.
        target: name of a device; None is this machine's CPU, or whatever the board is.
        precisions: asked for; each gets a row in the report.
        gate: what an engine has to keep of the float model.
        effort: ``default`` or ``thorough``: what ``budget`` and ``seconds`` are where they are not given.
        budget: seconds of fusion and the precision search together; what has begun ends.
        bias_correction: correct INT8 biases in the search.
        dequantize: strip the Q/DQ nodes of an ONNX model; without it such a model is built as its author's INT8.
        out: run folder, swapped in whole; an earlier run there is kept until then.
        weights: checkpoint, for a model folder or a callable.
        task: file, table or task; a model without its own needs one.
        jetpack: release on the device.
        calibration_images: of the train split.
        threads: CPU threads of every engine.
        seconds: of timing for each engine.
        strata, group: manifest columns to judge by, and to resample by.
        allow_small: judge on fewer than 20 images.
        allow_overlap: take patients and volumes that are in two splits; the report says what it costs.
        images: show pictures and names in the report.
        sweep: measure throughput of the chosen engine as well.
        explain: measure the way from file to mask, memory and where accuracy was lost for every engine; without it for
            the chosen one, and where none passes for those that are quantized.
        backend: compiler for an NVIDIA GPU in place of the target's; torch-tensorrt takes model folders only.
        on: boards to build, run and time on over SSH, all at the same time: ``user@host``, ``user@host:port``, or names
            of ``boards.toml`` or ``~/.ssh/config``. This machine still loads, calibrates and scores. Of several, a
            :class:`~edge.api.run.FleetRun` comes back.
        log: ``mlflow``, to the store that MLflow's own settings name, or ``mlflow:URI``: parameters, metrics of each
            engine, the reports and the chosen engine. It is reached before anything is spent.
        progress: called with every :class:`~edge.api.progress.Event`.

    Raises:
        InputError: an argument or a file is at fault; the message names it.
        MachineError: this machine lacks something.
    """
    given = dict(locals())
    from edge.api.command import command_line
    from edge.api.given import as_boards, as_data, as_names, as_optional_path, as_task
    from edge.pipeline.deploy import run_deploy
    from edge.pipeline.effort import find_effort
    from edge.pipeline.session import Request

    tracker = None if log is None else _open_tracker(log)
    boards = as_boards(on)
    usual = find_effort(effort)
    request = Request(
        model=model,
        weights=as_optional_path("weights", weights),
        task=as_task(task),
        data=as_data(data),
        target=target,
        jetpack=jetpack,
        precisions=as_names("precisions", precisions),
        gate=str(gate),
        budget_seconds=budget,
        effort=effort,
        bias_correction=bias_correction,
        dequantize=dequantize,
        out=as_optional_path("out", out),
        calibration_images=calibration_images,
        threads=threads,
        latency_seconds=usual.latency_seconds if seconds is None else seconds,
        strata=strata,
        group=group,
        allow_small=allow_small,
        allow_overlap=allow_overlap,
        report_images=images,
        sweep=sweep,
        explain=explain,
        backend=backend,
        on=next(iter(boards.values()), None),
        command=command_line(deploy, given),
    )
    reporter = Reporter(progress, STAGES)
    run = _deploy_to_boards(request, boards, reporter) if len(boards) > 1 else Run(*run_deploy(request, reporter))
    if tracker is not None:
        for each in run.boards.values() if isinstance(run, FleetRun) else (run,):
            tracker.write(each.report, each.folder)
    return run


def _open_tracker(text: str) -> "Tracker":
    from edge.handover.mlflow import open_mlflow

    return open_mlflow(text)


def _deploy_to_boards(request: "Request", boards: "Mapping[str, Address]", progress: Reporter) -> FleetRun:
    from edge.pipeline.fleet import PAGE, deploy_to_boards, folder_of

    found = deploy_to_boards(request, boards, progress)
    runs = {name: Run(report, found.folder / folder_of(name)) for name, report in found.reports.items()}
    first = next(iter(runs.values()))
    return FleetRun(first.report, first.folder, runs, found.faults, found.folder / PAGE)
