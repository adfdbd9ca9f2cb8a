"""Runs a campaign: ``python -m tests.fuzz --inputs 20000 --seed 0``; exit code 1 where it finds anything.

What was read is recorded part by part in ``--keep``, so that a campaign that was stopped goes on, and several processes
started on one campaign share it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.fixtures.memory import memory_folder
from tests.fuzz.campaign import Part, Result, parts, run, together
from tests.fuzz.surfaces import surfaces


def main() -> int:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="surfaces whose name this regular expression finds")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder of records and findings")
    given = parser.parse_args()
    records = given.keep / f"{given.inputs}-{given.seed}"
    records.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        planned = parts(surfaces(Path(folder)), given.inputs)
        for part in planned:
            if re.search(given.only, part.surface.name) and _claimed(records / f"{part.name}.json"):
                _record(part, run(part, given.seed, Path(folder), given.keep / "findings", _say), records)
    known = [_recorded(records / f"{part.name}.json") for part in planned]
    whole = together(result for result in known if result is not None)
    left = sum(part.count for part, result in zip(planned, known, strict=True) if result is None)
    print(f"{sum(whole.outcomes.values()) + len(whole.findings)} inputs ({left} left)")
    print(f"{time.process_time() - start:.0f} s of CPU in this process")
    print(dict(whole.outcomes), f"slowest {whole.slowest:.1f} s of CPU, memory grown by {whole.grown_bytes >> 20} MiB")
    print(f"findings: {len(whole.findings)}, processes started: {len(whole.processes)}")
    return 1 if whole.findings or whole.processes else 0


def _claimed(path: Path) -> bool:
    """Whether nobody has begun this part: its record is made empty first."""
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    return True


def _record(part: Part, result: Result, records: Path) -> None:
    (records / f"{part.name}.json").write_text(json.dumps(vars(result)))


def _recorded(path: Path) -> Result | None:
    """What came of a part; None while another process is at it. (Remove an empty record whose process was killed.)"""
    text = path.read_text() if path.is_file() else ""
    return Result(**json.loads(text)) if text else None


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
