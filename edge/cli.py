"""The command ``edge``: parses arguments, calls one function, prints what it returns. No logic lives here.

Every command's docstring is its help and ends in an example; a test runs each of them.
"""

from __future__ import annotations

import json
import shlex
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from edge.errors import MACHINE_FAULTS, EdgeError, InputError

if TYPE_CHECKING:
    from edge.terminal import Terminal

PASSED, FAILED, OUR_BUG = 0, 1, 70

app = typer.Typer(
    name="edge",
    help="The fastest engine for your device that segments as well, with proof.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="model folder, file.onnx or package.module:callable")
]
DataOption = Annotated[
    Path, typer.Option("--data", metavar="SET", help="folder with manifest.csv, or images/ and masks/")
]
WeightsOption = Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="checkpoint to load")]
TaskOption = Annotated[Path | None, typer.Option("--task", metavar="task.toml", help="pre- and post-processing")]
TargetOption = Annotated[str, typer.Option("--target", metavar="T", help="device, see edge targets")]
JetpackOption = Annotated[str | None, typer.Option("--jetpack", metavar="V", help="JetPack release on the device")]
GateOption = Annotated[str, typer.Option("--gate", metavar="G", help="none, 99, 99.9, mlperf-3dunet or FILE.toml")]
CountOption = Annotated[int, typer.Option("--calibration-images", metavar="N", help="train images to calibrate with")]
SmallOption = Annotated[bool, typer.Option("--allow-small", help="judge on fewer than 20 images")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", help="CPU threads (default: all usable cores)")]
SecondsOption = Annotated[float, typer.Option("--seconds", help="seconds of timing for each engine")]
StrataOption = Annotated[str | None, typer.Option("--strata", metavar="COLUMN", help="manifest column to judge by")]
GroupOption = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="manifest column to resample by (patient, slide, ...)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, nothing else there")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="no progress, no messages")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="say more; a traceback with every error")]


@dataclass(frozen=True)
class _Output:
    """Where results and messages go: JSON or text on stdout, all else on stderr."""

    as_json: bool
    quiet: bool
    verbose: bool

    def terminal(self) -> Terminal:
        from edge.terminal import Terminal

        return Terminal(quiet=self.quiet, verbose=self.verbose)

    def show(self, document: Any, text: str) -> None:
        if self.as_json:
            print(json.dumps(document, indent=1, allow_nan=False))
        elif not self.quiet:
            print(text)


@app.command(short_help="the whole pipeline, and a report")
def deploy(
    model: ModelArgument,
    data: DataOption,
    target: TargetOption = "cpu",
    precisions: Annotated[str | None, typer.Option(metavar="P,P", help="such as fp32,bf16,int8,mixed")] = None,
    gate: GateOption = "99.9",
    budget: Annotated[float, typer.Option(metavar="SECONDS", help="for the precision search")] = 45.0,
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
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The whole pipeline: the fastest engine that passes the gate, and a report that says how that is known.

    Example: edge deploy models/unet --data calibration/dsb2018 --out runs/unet
    """
    from edge.deploy import run_deploy
    from edge.job import Request
    from edge.tables import report_text

    output = _Output(as_json, quiet, verbose)
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
        command=_command(),
    )
    with output.terminal() as terminal:
        report, folder = run_deploy(request, terminal)
    output.show(report.to_json(), f"{report_text(report)}\n\n{folder / 'report.html'}")
    raise typer.Exit(FAILED if report.status == "failed" else PASSED)


@app.command(short_help="one engine, no verdict")
def build(
    model: ModelArgument,
    data: DataOption,
    target: TargetOption,
    precision: Annotated[str, typer.Option(metavar="P", help="fp32, bf16, fp16 or int8")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="engine folder")] = None,
    weights: WeightsOption = None,
    task: TaskOption = None,
    jetpack: JetpackOption = None,
    calibration_images: CountOption = 64,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """One engine, no verdict.

    Example: edge build models/unet --data calibration/dsb2018 --target cpu --precision int8 --out runs/unet-int8
    """
    from edge.job import Request
    from edge.single import build_single

    output = _Output(as_json, quiet, verbose)
    request = Request(
        model=model,
        weights=weights,
        task=task,
        data=data,
        target=target,
        jetpack=jetpack,
        precisions=(precision,),
        gate="none",
        out=out,
        calibration_images=calibration_images,
        allow_small=True,
        command=_command(),
    )
    with output.terminal() as terminal:
        engine = build_single(request, terminal)
    summary = engine.summary()
    output.show(summary, "\n".join(f"{key}: {value}" for key, value in summary.items()))


@app.command(short_help="Dice, IoU and the gate, or a model's float scores")
def check(
    subjects: Annotated[list[str], typer.Argument(metavar="ENGINE... | MODEL", help="engine folders, or one model")],
    data: DataOption,
    reference: Annotated[str | None, typer.Option(metavar="MODEL", help="float model to compare with")] = None,
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
    from edge import single
    from edge.tables import accuracy_text, scores_text

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        if reference is None:
            scores = single.score_model(_only(subjects), data, split, weights, task, terminal)
            output.show(scores, scores_text(scores))
            return
        engines = [Path(subject) for subject in subjects]
        rows = single.check_engines(
            engines, data, split, reference, weights, task, gate, strata, group, allow_small, terminal
        )
    document = [{"engine": name, "accuracy": asdict(a), "gate": asdict(v)} for name, a, v in rows]
    output.show(document, accuracy_text(rows))
    raise typer.Exit(PASSED if any(verdict.passed for _, _, verdict in rows) else FAILED)


@app.command(short_help="masks as PNG")
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
    from edge.single import segment_with

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        masks = segment_with(engine, images, out, threads, terminal)
    output.show([str(mask) for mask in masks], "\n".join(map(str, masks)))


@app.command(short_help="latency; --against compares two engines")
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
    from edge.profile import Extras, profile_engines
    from edge.tables import profile_text

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        extras = Extras(tuple(image or ()), pixels, layers, sweep)
        found = profile_engines([engine, *([against] if against else [])], seconds, threads, extras, terminal)
    output.show(found.to_json(), profile_text(found))


@app.command(short_help="one report over several runs")
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

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        terminal.stage("report")
        reports = write_merged(runs, out)
    output.show([r.to_json() for r in reports], str(out))


@app.command(short_help="pack a run for a device")
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
    from edge.target import find_target

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        terminal.stage("bundle")
        path = pack(run, find_target(target), jetpack, not no_images, out, data, allow_small)
        for warning in warnings(not no_images):
            terminal.say(f"warning: {warning}")
    output.show({"path": str(path), "bytes": path.stat().st_size}, str(path))


@app.command(short_help="on the device: build, check, profile, choose")
def verify(
    packed: Annotated[Path, typer.Argument(metavar="BUNDLE", help="archive, or the folder it was unpacked into")],
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="run folder (default runs/NAME-verified)")] = None,
    seconds: SecondsOption = 10.0,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="for a bundle without pictures")] = None,
    runtime: Annotated[Path | None, typer.Option(metavar="FILE", help="prove it in this segedge-run too")] = None,
    allow_small: SmallOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """On the device: preflight, build, check, profile, and the fastest engine that passes.

    Example: edge verify runs/unet.tar.gz --out runs/unet-verified --seconds 1
    """
    from edge.bundle.verify import verify as run_verify
    from edge.tables import report_text

    output = _Output(as_json, quiet, verbose)
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


@app.command(short_help="a floor from the device's table, not measured")
def estimate(
    model: ModelArgument,
    target: TargetOption,
    precision: Annotated[str, typer.Option(metavar="P", help="fp32, fp16, bf16 or int8")] = "int8",
    weights: WeightsOption = None,
    task: TaskOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """A floor from the device's table, layer by layer: an estimate, labelled so, never a measurement.

    Example: edge estimate models/unet --target jetson-orin-nano-8gb --precision int8
    """
    from edge.single import estimate_model
    from edge.tables import table_text

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        found = estimate_model(model, weights, task, target, precision, terminal)
    slowest = sorted(found.layers, key=lambda layer: -layer.ms)[:15]
    rows = [(x.name, x.op, x.precision, f"{x.ms:.4f}", x.bound) for x in slowest]
    lines = [
        table_text(("layer", "op", "precision", "estimated ms", "bound by"), rows, left=3),
        "",
        f"ESTIMATE, not measured: no engine of {model} in {precision} is expected under {found.ms:.3f} ms on {target}",
        *(f"assumes: {assumption}" for assumption in found.assumptions),
        f"peaks from: {found.source}",
    ]
    output.show(asdict(found), "\n".join(lines))


@app.command("targets", short_help="the devices there are")
def list_targets(as_json: JsonOption = False, quiet: QuietOption = False, verbose: VerboseOption = False) -> None:
    """The devices an engine can be built for, and what is known of each.

    Example: edge targets
    """
    from edge.tables import targets_text
    from edge.target import targets

    known = list(targets().values())
    _Output(as_json, quiet, verbose).show([t.to_json() for t in known], targets_text(known))


@app.command(short_help="what a file or folder is")
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="model, engine, run, bundle, ranges, plan or image set")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """What a file or folder is.

    Example: edge inspect runs/unet/engines/int8
    """
    from edge.inspect import describe

    found = describe(file)
    text = "\n".join(f"{key}: {json.dumps(v) if isinstance(v, dict | list) else v}" for key, v in found.items())
    _Output(as_json, quiet, verbose).show(found, text)


@app.command(short_help="exact rewrites only")
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
    from edge.single import fuse_to_file
    from edge.tables import table_text

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        fused = fuse_to_file(model, weights, task, target, out, threads, terminal)
    rows = [(a.rewrite, a.times, a.nodes, a.macs, a.bytes) for a in fused.applied]
    document = {"path": str(out), "applied": [asdict(a) for a in fused.applied], "max_error": fused.max_error}
    table = table_text(("rewrite", "times", "nodes saved", "MACs saved", "bytes saved"), rows)
    output.show(document, f"{table}\n\nlargest change of an output: {fused.max_error:.1e}\n{out}")


@app.command(short_help="ranges from real training images")
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
    from edge.single import calibrate_to_file

    output = _Output(as_json, quiet, verbose)
    with output.terminal() as terminal:
        ranges = calibrate_to_file(model, weights, task, data, calibration_images, out, terminal)
    document = {"path": str(out), "tensors": len(ranges.tensors), "images": ranges.images}
    output.show(document, f"{len(ranges.tensors)} tensors from {ranges.images} images\n{out}")


@app.command(short_help="write the Q/DQ graph")
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
    from edge.single import quantize_to_file

    used = quantize_to_file(model, weights, task, ranges, scheme, plan, out)
    document = {"path": str(out), "int8": sorted(used.int8), "float": dict(used.reasons)}
    lines = [f"{len(used.int8)} layers in INT8", *(f"{name}: {why}" for name, why in used.reasons.items()), str(out)]
    _Output(as_json, quiet, verbose).show(document, "\n".join(lines))


def _command() -> str:
    return shlex.join(["edge", *sys.argv[1:]])


def _only(subjects: list[str]) -> str:
    if len(subjects) > 1:
        raise InputError("several subjects without --reference; give one model, or engines with --reference MODEL")
    return subjects[0]


def main() -> NoReturn:
    """Run the command line and exit with the contract's codes: 0, 1, 2, 3 or 70."""
    verbose = "-v" in sys.argv or "--verbose" in sys.argv
    try:
        app()
    except EdgeError as error:
        if verbose:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.errno not in MACHINE_FAULTS:
            _our_bug()
        print(f"error: {error.filename or 'disk'}: {error.strerror}; free space or permissions there", file=sys.stderr)
        sys.exit(3)
    except MemoryError:
        print("error: this machine ran out of memory; close other programs or use a smaller task size", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print("interrupted; nothing was replaced", file=sys.stderr)
        sys.exit(130)
    except Exception:
        _our_bug()
    sys.exit(0)


def _our_bug() -> NoReturn:
    traceback.print_exc()
    print("This is a bug in SegEdge. Please report it with the lines above and the command.", file=sys.stderr)
    sys.exit(OUR_BUG)


if __name__ == "__main__":
    main()
