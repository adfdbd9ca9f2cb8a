"""Runs a campaign: ``python -m tests.faults``; exit code 1 where it finds anything."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.faults.campaign import cases, run, together
from tests.faults.deployments import Deployments


def main() -> int:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--together", type=int, default=10, help="how often two runs meet in one folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        deployments = Deployments(Path(folder))
        try:
            rng = random.Random(given.seed)
            every = [case for case in cases(deployments) if given.only in case[0].name]
            result = run(deployments, [case for case in every if rng.random() < given.sample], _say)
            met = together(deployments, given.together)
        finally:
            deployments.close()
    for kind, outcomes in result.outcomes.items():
        print(f"{kind:32} {sum(outcomes.values()):4}  {dict(outcomes)}")
    print(f"two runs into one folder: {given.together} times, {len(met)} wrong")
    print(f"events of a deployment: {sum(deployments.points.values())}, native calls: {deployments.native}")
    print("\n".join([f"findings: {len(result.findings)}", *result.findings, *met]))
    return 1 if result.findings or met else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
