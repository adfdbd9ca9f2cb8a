"""The command ``edge``: its table of contents, and how every error ends."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from edge import __version__
from edge.api.boards import boards
from edge.api.build import build
from edge.api.bundle import bundle
from edge.api.calibrate import calibrate
from edge.api.check import check
from edge.api.deploy import deploy
from edge.api.estimate import estimate
from edge.api.export import export
from edge.api.fuse import fuse
from edge.api.init import init
from edge.api.inspect import inspect
from edge.api.profile import profile
from edge.api.quantize import quantize
from edge.api.report import report
from edge.api.segment import segment
from edge.api.sign import sign
from edge.api.sweep import sweep
from edge.api.targets import targets
from edge.api.verify import verify
from edge.cli import show
from edge.cli.command import make_command
from edge.cli.output import quiet_libraries
from edge.cli.supervise import INTERRUPTED, supervise
from edge.safety.ending import OUR_BUG, ending
from edge.safety.limits import limited, parse_limits
from edge.safety.streams import prepare_streams

COMMANDS: tuple[tuple[Callable[..., Any], Callable[..., int | None], str], ...] = (
    (deploy, show.show_deploy, "the whole pipeline, and a report"),
    (build, show.show_build, "one engine, no verdict"),
    (check, show.show_check, "Dice, IoU and the gate, or a model's float scores"),
    (segment, show.show_segment, "masks of pictures and volumes"),
    (profile, show.show_profile, "latency; --against compares two engines"),
    (report, show.show_report, "one report over several runs"),
    (bundle, show.show_bundle, "pack a run for a device"),
    (verify, show.show_run, "on the device: build, check, profile, choose"),
    (sign, show.show_sign, "sign a run, engine or bundle"),
    (export, show.show_export, "a Triton repository, a model card"),
    (estimate, show.show_estimate, "a floor from the device's table, not measured"),
    (sweep, show.show_sweep, "a matrix of deployments; Dask"),
    (boards, show.show_boards, "boards.toml: list, check, add"),
    (targets, show.show_targets, "the devices there are"),
    (init, show.show_init, "a task.toml to start from"),
    (inspect, show.show_inspect, "what a file or folder is"),
    (fuse, show.show_fuse, "exact rewrites only"),
    (calibrate, show.show_calibrate, "ranges from real training images"),
    (quantize, show.show_quantize, "write the Q/DQ graph"),
)
"""Each command: the public function it is made from, what it prints, and its line in ``edge --help``."""

app = typer.Typer(
    name="edge",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb, _show, _summary in COMMANDS:
    app.command(_verb.__name__, short_help=_summary)(make_command(_verb, _show))


def _print_version(asked: bool) -> None:
    if asked:
        print(f"segedge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        # Hidden: everyone expects it, and the help has to fit a screen of 25 lines.
        typer.Option("--version", help="print the version", callback=_print_version, is_eager=True, hidden=True),
    ] = False,
    limit: Annotated[
        list[str] | None,
        # Hidden likewise: whoever needs it is told so by the refusal.
        typer.Option("--limit", metavar="NAME=N", help="read more than SECURITY.md's table allows", hidden=True),
    ] = None,
) -> None:
    """The fastest engine for your device that segments as well, with proof."""
    context.with_resource(limited(parse_limits(limit or [])))


def main() -> NoReturn:
    """The program: the command line, in a process of its own."""
    supervise(run_command)


def run_command() -> NoReturn:
    """Run the command line and exit with 0, 1, 2, 3 or 70 (README), or 130 when interrupted."""
    verbose = "-v" in sys.argv or "--verbose" in sys.argv
    prepare_streams()
    if not verbose:
        quiet_libraries()
    try:
        app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("interrupted; nothing was replaced", file=sys.stderr)
        raise
    except Exception as error:
        known = ending(error)
        if known is None:
            _our_bug()
        if verbose:
            traceback.print_exc()
        code, sentence = known
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(code)
    sys.exit(0)


def _our_bug() -> NoReturn:
    traceback.print_exc()
    print("This is a bug in SegEdge. Please report it with the lines above and the command.", file=sys.stderr)
    sys.exit(OUR_BUG)


if __name__ == "__main__":
    main()
