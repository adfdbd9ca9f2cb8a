"""What can be told without building anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.options import (
    JsonOption,
    ModelArgument,
    QuietOption,
    TargetOption,
    TaskOption,
    VerboseOption,
    WeightsOption,
)
from edge.cli.output import Output


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
    from edge.cli.tables import table_text
    from edge.pipeline.single import estimate_model

    output = Output(as_json, quiet, verbose)
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


def list_targets(as_json: JsonOption = False, quiet: QuietOption = False, verbose: VerboseOption = False) -> None:
    """The devices an engine can be built for, which of them this machine is, and what it lacks to be the others.

    Example: edge targets
    """
    from edge.cli.tables import targets_text
    from edge.targets.local import lacks
    from edge.targets.target import targets

    known = list(targets().values())
    lacking = {t.name: lacks(t) for t in known}
    rows = [{**t.to_json(), "here": lacking[t.name] is None, "lacks": lacking[t.name]} for t in known]
    Output(as_json, quiet, verbose).show(rows, targets_text(known, lacking))


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="model, engine, run, bundle, ranges, plan or image set")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """What a file or folder is.

    Example: edge inspect runs/unet/engines/int8
    """
    from edge.pipeline.inspect import describe

    found = describe(file)
    text = "\n".join(f"{key}: {json.dumps(v) if isinstance(v, dict | list) else v}" for key, v in found.items())
    Output(as_json, quiet, verbose).show(found, text)
