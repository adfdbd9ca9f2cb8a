"""``python3 -m edge_bundle verify | preflight | info``, in the folder that the bundle was unpacked into."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import Any, Sequence

from ..safety.ending import OUR_BUG, ending
from ..safety.limits import limited, parse_limits
from ..safety.streams import prepare_streams
from .proof import Options
from .verify import check_machine, look, verify

PASSED, FAILED = 0, 1
_BUNDLE = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes as of ``edge``: 0 passed, 1 nothing passes, 2 bundle, 3 machine, 70 our bug."""
    prepare_streams()
    options = _parser().parse_args(arguments)
    commands = {"verify": _verify, "preflight": _preflight, "info": _info}
    try:
        with limited(parse_limits(options.limit)):
            return commands[options.command](options)
    except KeyboardInterrupt:
        print("interrupted; run it again and it goes on", file=sys.stderr)
        return 130
    except Exception as error:
        known = ending(error)
        if known is not None:
            print(f"error: {known[1]}", file=sys.stderr)
            return known[0]
        traceback.print_exc()
        print("This is a bug in SegEdge. Please report it with the lines above.", file=sys.stderr)
        return OUR_BUG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m edge_bundle", description=__doc__)
    parser.add_argument("command", choices=("verify", "preflight", "info"))
    parser.add_argument("--bundle", type=Path, default=_BUNDLE, help="unpacked bundle")
    parser.add_argument("--out", type=Path, help="run folder to write (default: run, inside the bundle)")
    parser.add_argument("--work", type=Path, help="folder for engines and progress (default: work, inside the bundle)")
    parser.add_argument("--seconds", type=float, default=10.0, help="timing for each engine (default: 10)")
    parser.add_argument("--min-runs", type=int, default=100, help="fewest timed runs for each engine (default: 100)")
    parser.add_argument(
        "--images", type=Path, help="check on this folder's images (and masks/) instead of bundled ones"
    )
    parser.add_argument("--runtime", type=Path, help="also prove every engine through this segedge-run")
    parser.add_argument("--allow-small", action="store_true", help="judge on fewer than 20 images")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=N", help="read more than SECURITY.md's table allows"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, nothing else there")
    return parser


def _verify(options: argparse.Namespace) -> int:
    chosen = Options(options.seconds, options.min_runs, options.images, options.allow_small, options.runtime)
    report = verify(options.bundle, _work(options), options.out or options.bundle / "run", chosen, _say)
    if options.json:
        print(json.dumps(report, indent=1))
    return PASSED if report["status"] == "passed" else FAILED


def _preflight(options: argparse.Namespace) -> int:
    manifest, machine, _, _, found = check_machine(options.bundle, _work(options))
    table = {"bundle": manifest.title, "machine": machine.to_json(), "warnings": list(found.warnings)}
    _show(options, table, found.lines)
    for warning in found.warnings:
        _say(f"warning: {warning}")
    return PASSED


def _info(options: argparse.Namespace) -> int:
    manifest, machine = look(options.bundle)
    lines = [
        ("bundle", f"{manifest.title}, {manifest.bytes / 1e6:.1f} MB in {len(manifest.files)} files"),
        ("sha256", manifest.sha256),
        ("candidates", ", ".join(c.name for c in manifest.candidates if c.candidate)),
        ("images", str(manifest.data["images"] or "none")),
        ("gate", str(manifest.gate.get("name", "none"))),
        ("machine", f"{machine.model}, {machine.architecture}"),
    ]
    _show(options, dict(lines), lines)
    return PASSED


def _work(options: argparse.Namespace) -> Path:
    return Path(options.work or options.bundle / "work")


def _show(options: argparse.Namespace, table: dict[str, Any], lines: Sequence[tuple[str, str]]) -> None:
    if options.json:
        print(json.dumps(table, indent=1))
        return
    for name, value in lines:
        print(f"{name:12} {value}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
