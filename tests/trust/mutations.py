"""Takes out each mend of ``mutations.toml`` in a copy of the tree, where a test of its row must fail.

``python -m tests.trust.mutations [--row N] [--sanitized]``; exit code 1 where a row's tests pass without a mend, or
fail with all of them. The copy stays (``--place``), so that the C++ runtime is compiled once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomllib

from tests.fixtures.runtime_kit import ROOT

TABLE = Path(__file__).with_name("mutations.toml")


def mutations() -> list[dict[str, Any]]:
    """The table's rows."""
    return tomllib.loads(TABLE.read_text())["mutation"]


def edits(mutation: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """File, text and what takes its place: one, or two where either alone would do."""
    return [
        (mutation["file"], mutation["old"], mutation["new"]),
        *([tuple(mutation["also"])] if "also" in mutation else []),
    ]


def main() -> int:
    """Try all that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, action="append")
    parser.add_argument("--sanitized", action="store_true", help="those that need the sanitizers, and no others")
    parser.add_argument("--place", type=Path, default=ROOT / "out" / "mutations")
    given = parser.parse_args()
    place = given.place.resolve()
    _copy(place)
    chosen = [m for m in mutations() if m.get("sanitized", False) == given.sanitized]
    chosen = [m for m in chosen if given.row is None or m["row"] in given.row]
    wrong = 0
    for row in sorted({m["row"] for m in chosen}):
        if _tests(place, row, given.sanitized) != 0:
            wrong += 1
            print(f"row {row}: fails with every mend in place", flush=True)
    for mutation in chosen:
        with _mutated(place, mutation):
            code = _tests(place, mutation["row"], given.sanitized)
        wrong += code == 0
        said = "passes without it" if code == 0 else "fails without it, as it should"
        print(f"row {mutation['row']}: {mutation['takes_out']}: {said} ({code})", flush=True)
    return 1 if wrong else 0


def _copy(place: Path) -> None:
    """Every file that git tracks; one that has not changed keeps its time, and is not compiled again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = ROOT / name, place / name
        data = source.read_bytes()
        if not copy.is_file() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)


@contextlib.contextmanager
def _mutated(place: Path, mutation: Mapping[str, Any]) -> Iterator[None]:
    before = {}
    for name, old, new in edits(mutation):
        before[name] = (place / name).read_text()
        assert before[name].count(old) == 1, (name, old)
        (place / name).write_text(before[name].replace(old, new))
    try:
        yield
    finally:
        for name, text in before.items():
            (place / name).write_text(text)


def _tests(place: Path, row: int, sanitized: bool) -> int:
    """Exit code of the row's tests; a negative one where they were ended by a signal, as by their own alarm."""
    words = ["-q", "-x", "-p", "no:cacheprovider", "tests/trust/test_rows.py", "-k", f"row_{row}_"]
    words += ["-m", "slow" if sanitized else "not slow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=place, env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1) or done.returncode < 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
