"""Runs a campaign: ``python -m tests.fuzz --inputs 20000 --seed 0``; exit code 1 where it finds anything."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import run
from tests.fuzz.surfaces import surfaces


def main() -> int:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="surfaces whose name holds this")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder for the inputs of findings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = [surface for surface in surfaces(Path(folder)) if (given.only or "") in surface.name]
        start = time.process_time()
        result = run(chosen, given.inputs, given.seed, Path(folder), given.keep, lambda line: print(line, flush=True))
    print(f"{sum(result.outcomes.values()) + len(result.findings)} inputs, {time.process_time() - start:.0f} s of CPU")
    print(dict(result.outcomes), f"slowest {result.slowest:.1f} s, memory grown by {result.grown_bytes >> 20} MiB")
    print(f"findings: {len(result.findings)}, processes started: {len(result.processes)}")
    return 1 if result.findings or result.processes else 0


if __name__ == "__main__":
    sys.exit(main())
