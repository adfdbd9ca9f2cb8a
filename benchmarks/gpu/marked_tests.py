"""Runs every test marked ``needs_gpu`` and prints how many passed, failed and were skipped, as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_MARK = "mark.needs_gpu"
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)")


def main() -> None:
    files = [str(path) for path in sorted((_REPOSITORY / "tests").rglob("test_*.py")) if _MARK in path.read_text()]
    line = [sys.executable, "-m", "pytest", "-q", "-m", "needs_gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(line, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    counts = {word.rstrip("s") if word.startswith("error") else word: int(n) for n, word in _COUNT.findall(lines[-1])}
    failures = [row for row in lines if row.startswith(("FAILED", "ERROR"))]
    print(json.dumps({"counts": counts, "failures": failures, "exit": done.returncode}))


if __name__ == "__main__":
    main()
