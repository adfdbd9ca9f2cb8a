"""The Dockerfiles: every file that they copy and every extra that they install is there, and their bases are pinned."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from edge.files import read_toml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_bases_are_pinned_and_what_is_copied_is_there(file: Path) -> None:
    text = file.read_text().replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines() if line and not line.startswith("#") and "[" not in line]
    (base,) = [line[1] for line in lines if line[0] == "FROM"]
    assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]+", base) and not base.endswith(":latest")
    assert base in (ROOT / "docker/README.md").read_text()
    missing = [name for line in lines if line[0] == "COPY" for name in line[1:-1] if not (ROOT / name).exists()]
    assert missing == []


def test_the_extras_installed_exist() -> None:
    text = (ROOT / "docker/x86.Dockerfile").read_text()
    (extras,) = re.findall(r"'\.\[([a-z,-]+)\]'", text)
    assert set(extras.split(",")) <= set(read_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"])
