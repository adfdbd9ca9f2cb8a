"""The command ``edge``: parses arguments, calls one function, prints what it returns. No logic lives here.

Every command's docstring is its help and ends in an example; a test runs each of them.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer

from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.terminal import Terminal

PASSED, FAILED, OUR_BUG = 0, 1, 70

app = typer.Typer(
    name="edge",
    help="The fastest engine for your device that still segments as well, with the proof.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="model folder, file.onnx or package.module:callable")]
DataOption = Annotated[Path, typer.Option("--data", metavar="SET", help="folder with manifest.csv, or images/ and masks/")]
WeightsOption = Annotated[Optional[Path], typer.Option("--weights", metavar="FILE", help="checkpoint to load")]
TaskOption = Annotated[Optional[Path], typer.Option("--task", metavar="task.toml", help="pre- and post-processing")]
TargetOption = Annotated[str, typer.Option("--target", metavar="T", help="device, see edge targets")]
JetpackOption = Annotated[Optional[str], typer.Option("--jetpack", metavar="V", help="JetPack release on the device")]
GateOption = Annotated[str, typer.Option("--gate", metavar="G", help="none, 99, 99.9, mlperf-3dunet or FILE.toml")]
CountOption = Annotated[int, typer.Option("--calibration-images", metavar="N", help="train images to calibrate with")]
SmallOption = Annotated[bool, typer.Option("--allow-small", help="judge on fewer than 20 images")]
ThreadsOption = Annotated[Optional[int], typer.Option("--threads", help="CPU threads (default: all usable cores)")]
SecondsOption = Annotated[float, typer.Option("--seconds", help="seconds of timing for each engine")]
StrataOption = Annotated[Optional[str], typer.Option("--strata", metavar="COLUMN", help="manifest column to judge by")]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, nothing else there")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="no progress, no messages")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="say more; a traceback with every error")]


@dataclass(frozen=True)
class _Output:
    """Where results and messages go: JSON or tables on stdout, all else on stderr."""

    as_json: bool
    quiet: bool
    verbose: bool

    def terminal(self) -> Terminal:
        from edge.terminal import Terminal

        return Terminal(quiet=self.quiet or self.as_json, verbose=self.verbose)

    def result(self, document: Any, text: str) -> None:
        if self.as_json:
            print(json.dumps(document, indent=1, allow_nan=False))
        elif not self.quiet:
            print(text)


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
    except MemoryError:
        print("error: this machine ran out of memory; close other programs or use a smaller task size", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print("interrupted; nothing was replaced", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception:
        traceback.print_exc()
        print("This is a bug in SegEdge. Please report it with the lines above and the command.", file=sys.stderr)
        sys.exit(OUR_BUG)
    sys.exit(0)
