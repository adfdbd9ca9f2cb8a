"""Does it work on a network it was not made for? ``python -m benchmarks.unseen --out FILE.json``.

Trains the network of this folder for about nine minutes (``models/train.py``; weights that are there are taken),
deploys it like any user's, and compares the chosen engine with every peer as ``benchmarks.peers`` does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.networks import summary
from benchmarks.peers.arguments import environment_python
from benchmarks.peers.run import Plan, compare_network
from benchmarks.training import model_folder, trained
from edge.cli.terminal import Terminal
from edge.files import write_json
from edge.machine.environment import environment
from edge.pipeline.deploy import run_deploy
from edge.pipeline.session import Request

FOLDER = Path("benchmarks/unseen")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unseen", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--runs", type=Path, default=Path("out/unseen"), help="weights and the run folder go here")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of the precision search, at most")
    parser.add_argument("--python", type=environment_python, action="append", default=[], metavar="NAME=PATH")
    arguments = parser.parse_args()
    training = arguments.runs / "training"
    record = trained(FOLDER, arguments.data, training)
    request = Request(
        model=str(model_folder(FOLDER, training, arguments.runs / "unseen")),
        data=arguments.data,
        out=arguments.runs / "run",
        budget_seconds=arguments.budget,
        command="python -m benchmarks.unseen",
    )
    with Terminal() as terminal:
        report, run = run_deploy(request, terminal)
    plan = Plan(
        model=request.model,
        data=arguments.data,
        run=run.resolve(),
        scratch=(arguments.runs / "peers").resolve(),
        threads=len(os.sched_getaffinity(0)),
        pythons=dict(arguments.python),
        rounds=30,
        deadline=time.monotonic() + 600,
        calibration_images=64,
        say=lambda text: print(text, file=sys.stderr),
    )
    document = {
        "training": {key: record[key] for key in ("command", "best_epoch", "val", "test")},
        "deployed": summary(report),
        "compared": compare_network(plan),
        "environment": environment(),
    }
    write_json(arguments.out, document)


if __name__ == "__main__":
    main()
