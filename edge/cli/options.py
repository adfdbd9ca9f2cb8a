"""Arguments and options that several commands take, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="model folder, file.onnx or package.module:callable")
]
DataOption = Annotated[
    Path, typer.Option("--data", metavar="SET", help="folder with manifest.csv, or images/ and masks/")
]
WeightsOption = Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="checkpoint to load")]
TaskOption = Annotated[Path | None, typer.Option("--task", metavar="task.toml", help="pre- and post-processing")]
TargetOption = Annotated[str, typer.Option("--target", metavar="T", help="device, see edge targets")]
BackendOption = Annotated[
    str | None,
    typer.Option("--backend", metavar="NAME", help="for an NVIDIA GPU: tensorrt, tensorrt-rtx or torch-tensorrt"),
]
JetpackOption = Annotated[str | None, typer.Option("--jetpack", metavar="V", help="JetPack release on the device")]
GateOption = Annotated[str, typer.Option("--gate", metavar="G", help="none, 99, 99.9, mlperf-3dunet or FILE.toml")]
CountOption = Annotated[int, typer.Option("--calibration-images", metavar="N", help="train images to calibrate with")]
SmallOption = Annotated[bool, typer.Option("--allow-small", help="judge on fewer than 20 images")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads (default: one a physical core)")
]
SecondsOption = Annotated[float, typer.Option("--seconds", min=0.001, help="seconds of timing for each engine")]
StrataOption = Annotated[str | None, typer.Option("--strata", metavar="COLUMN", help="manifest column to judge by")]
GroupOption = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="manifest column to resample by (patient, slide, ...)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, nothing else there")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="no progress, no messages")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="say more; a traceback with every error")]
