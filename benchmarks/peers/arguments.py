"""The command line that the comparisons with peers share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.peers.builders import ENVIRONMENTS, PEERS
from edge.files import read_json

NETWORKS = ("unet", "litenext", "lanet", "lightawnet", "drrmsan")


def shared_parser(module: str, description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Options that say which networks are compared, with whom and on what.

    Args:
        module: as ``python -m`` runs it.
        description: for ``--help``.
        rounds: by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--add", action="store_true", help="keep the other networks of the results file")
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(NETWORKS))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--runs", type=Path, default=Path("out/peers"), help="run folders and workers' files")
    parser.add_argument("--peers", type=peer_names, default=list(PEERS), metavar="A,B", help="those that take part")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each engine is timed, in turn")
    return parser


def comparison_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Options of a comparison that deploys and makes peers' graphs.

    Args:
        module: as ``python -m`` runs it.
        description: for ``--help``.
    """
    parser = shared_parser(module, description, rounds=30)
    parser.add_argument("--reuse", action="store_true", help="take run folders and peers' graphs that hold")
    parser.add_argument("--calibration-images", type=int, default=64)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of the precision search, at most")
    add_pythons(parser, ENVIRONMENTS)
    return parser


def add_pythons(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """The option that names interpreters of peers that need an environment of their own."""
    parser.add_argument(
        "--python",
        type=environment_python,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help=f"interpreter of an environment of its own: {' or '.join(names)}, see requirements-NAME.txt",
    )


def add_minutes(parser: argparse.ArgumentParser, default: float) -> None:
    """The option that bounds a comparison."""
    parser.add_argument(
        "--minutes",
        type=float,
        default=default,
        help="to build and time the peers of all networks together; deploying comes before it",
    )


def kept_networks(arguments: argparse.Namespace) -> dict[str, Any]:
    """Entries of the results file by network that ``--add`` keeps."""
    return dict(read_json(arguments.out)["networks"]) if arguments.add else {}


def environment_python(text: str) -> tuple[str, str]:
    """``NAME=PATH`` as name and interpreter."""
    name, _, path = text.partition("=")
    if name not in ENVIRONMENTS or not os.access(path, os.X_OK) or Path(path).is_dir():
        known = " or ".join(ENVIRONMENTS)
        raise argparse.ArgumentTypeError(f"{text}: must be {known}, =, and the path of a Python interpreter")
    return name, path


def peer_names(text: str) -> list[str]:
    """Names of peers, separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: no such peer; there are {', '.join(PEERS)}")
    return names
