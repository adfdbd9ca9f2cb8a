"""Our chosen engine against everything a user could have had instead.

``python -m benchmarks.peers --out FILE.json [--networks unet,lanet]`` deploys each network (with ``--reuse``, takes the
run folder that is there) and gives the same ``source.onnx`` (PyTorch: the same weights), images, threads and output to
every peer, each in its own process. All are timed interleaved. A peer counts whether or not it passes the gate; one
that crashes is listed with its error.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.deployed import Deployment
from benchmarks.peers.arguments import add_minutes, comparison_parser, kept_networks
from benchmarks.peers.run import Plan, compare_network
from edge.errors import EdgeError
from edge.files import write_json
from edge.machine.environment import environment


def main() -> None:
    compare(_parse())


def compare(arguments: argparse.Namespace) -> None:
    """Deploy, compare and write the results file after each network.

    Args:
        arguments: of :func:`benchmarks.peers.arguments.comparison_parser`, with ``minutes``.
    """
    runs = _deployed(arguments)
    start = time.monotonic()
    networks = kept_networks(arguments)
    for index, (name, run) in enumerate(runs.items()):
        left = arguments.minutes * 60 - (time.monotonic() - start)
        share = left / (len(runs) - index)
        _say(f"{name}: {share / 60:.1f} minutes")
        networks[name] = _network(name, run, arguments, time.monotonic() + 0.7 * share)
        _write(arguments.out, networks, arguments.reuse)
        row = networks[name]
        if row["ratio"] is not None:
            low, high = row["ratio_ci95"]
            _say(
                f"  {row['ours']} {row['ours_ms']:.2f} ms; best peer {row['best_peer']['name']} "
                f"{row['best_peer']['ms']:.2f} ms; ratio {row['ratio']:.2f} [{low:.2f}, {high:.2f}]"
            )
    if not networks:
        sys.exit("no network could be compared")
    mean = _write(arguments.out, networks, arguments.reuse)
    _say(f"geometric mean {mean}, {(time.monotonic() - start) / 60:.0f} minutes")


def _deployed(arguments: argparse.Namespace) -> dict[str, Path]:
    """Run folders by network; one that cannot be deployed is left out."""
    deployment = Deployment(arguments.data, arguments.runs, arguments.reuse, arguments.budget, arguments.threads)
    runs = {}
    for name in arguments.networks:
        try:
            runs[name] = deployment.folder(arguments.models / name)
            _say(f"{name}: deployed")
        except EdgeError as error:
            _say(f"{name}: left out: {error}")
    return runs


def _network(name: str, run: Path, arguments: argparse.Namespace, deadline: float) -> dict[str, Any]:
    return compare_network(
        Plan(
            model=str(arguments.models / name),
            data=arguments.data,
            run=run,
            scratch=(arguments.runs / f"{name}-peers").resolve(),
            threads=arguments.threads,
            pythons=dict(arguments.python),
            rounds=arguments.rounds,
            deadline=deadline,
            calibration_images=arguments.calibration_images,
            say=_say,
            peers=arguments.peers,
            reuse=arguments.reuse,
        )
    )


def _write(path: Path, networks: dict[str, Any], reuse: bool) -> float | None:
    """The results file; ``reuse`` in it says that build seconds may be those of taking a graph that was there."""
    ratios = [row["ratio"] for row in networks.values() if row["ratio"]]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    table = {"networks": networks, "geomean_ratio": mean, "reuse": reuse, "environment": environment()}
    write_json(path, table)
    return mean


def _parse() -> argparse.Namespace:
    parser = comparison_parser("benchmarks.peers", __doc__)
    add_minutes(parser, 40.0)
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
