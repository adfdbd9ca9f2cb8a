"""Runs a campaign: ``python -m tests.faults``; exit code 1 where it finds anything.

What came of each case is recorded in ``--keep``, so that a campaign that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from tests.faults.campaign import Result, cases, judged, together
from tests.faults.deployments import Deployments
from tests.fixtures.memory import memory_folder


def main() -> int:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--together", type=int, default=10, help="how often two runs meet in one folder")
    parser.add_argument("--keep", type=Path, default=Path("out/faults"), help="folder for the record of the cases")
    given = parser.parse_args()
    record = given.keep / f"{given.seed}.jsonl"
    record.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        deployments = Deployments(Path(folder))
        try:
            rng = random.Random(given.seed)
            every = [case for case in cases(deployments) if given.only in case[0].name]
            chosen = [case for case in every if rng.random() < given.sample]
            known = {(row["kind"], row["at"]) for row in _recorded(record)}
            for kind, at in chosen:
                if (kind.name, at) not in known:
                    _record(record, vars(judged(deployments, kind, at)))
            met = together(deployments, given.together)
        finally:
            deployments.close()
    result = Result()
    for row in _recorded(record):
        result.add(row["kind"], row["outcome"], row["wrong"])
    for kind, outcomes in result.outcomes.items():
        print(f"{kind:32} {sum(outcomes.values()):4}  {dict(outcomes)}")
    print(f"two runs into one folder: {given.together} times, {len(met)} wrong")
    print(f"{sum(sum(outcomes.values()) for outcomes in result.outcomes.values())} of {len(every)} cases")
    print(f"events of a deployment: {sum(deployments.points.values())}, native calls: {deployments.native}")
    findings = [*result.findings, *result.idle(), *met]
    print("\n".join([f"findings: {len(findings)}", *findings]))
    return 1 if findings else 0


def _record(path: Path, row: dict[str, object]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    print(f"{row['kind']} {row['at']}: {row['outcome']} {row['wrong']}", flush=True)


def _recorded(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
