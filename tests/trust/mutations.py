"""Takes out each mend of ``mutations.toml`` in a copy of the tree, where a test of its row must fail.

``python -m tests.trust.mutations [--row N] [--sanitized]``; exit code 1 where a row's tests pass without a mend, or
fail with all of them. The copy stays (``--place``), so that the C++ runtime is compiled once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tomllib

from tests.fixtures.runtime_kit import ROOT

_LIBRARIES = ("numpy", "scipy.ndimage", "onnx", "onnxruntime", "openvino", "matplotlib.pyplot", "PIL.Image", "typer")
"""Imported once, before the forks."""
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
    for name in _LIBRARIES:
        importlib.import_module(name)
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
    """Exit code of the row's tests, in a fork of this process; negative where a signal, as their alarm, ended them."""
    words = ["-q", "-x", "-p", "no:cacheprovider", "tests/trust/rows", "-k", f"row_{row}_"]
    words += ["-m", "slow" if sanitized else "not slow"]
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                _enter(place)
                os._exit(int(pytest.main(words)))
            finally:
                os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        assert code in (0, 1) or code < 0, said.read().decode("utf-8", "replace")[-3000:]
    return code


def _enter(place: Path) -> None:
    """Import from the copy from here on, in this process and in those that it starts."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("edge", "tests")]:
        del sys.modules[name]
    os.chdir(place)
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = str(place)


if __name__ == "__main__":
    sys.exit(main())
