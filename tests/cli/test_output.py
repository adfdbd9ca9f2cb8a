"""A stdout that is closed, narrow-minded or gone never turns a command into a bug."""

from __future__ import annotations

import subprocess
import sys

import pytest

LINE = f"{sys.executable} -m edge.cli.app targets"


@pytest.mark.parametrize(
    "shell",
    [
        f"set -o pipefail; {LINE} --json | head -1",
        f"{LINE} >&-",
        f"{LINE} --json 2>&-",
        f"PYTHONIOENCODING=latin-1 {LINE}",
        f"PYTHONIOENCODING=ascii {LINE}",
    ],
    ids=["head", "closed", "no-stderr", "latin-1", "ascii"],
)
def test_a_strange_stdout_is_no_bug(shell: str) -> None:
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
