from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge.backends.engine import Engine
from edge.errors import InputError, MachineError
from edge.latency.footprint import footprint
from edge.safety.limits import Limits, limited

MB = 1 << 20


def test_a_process_of_its_own_is_measured(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = bytearray(400 * MB)  # of this process: it must not be in the figure
    monkeypatch.chdir(tmp_path)  # where no package lies: the child finds it as this process did
    found = footprint(engine.folder, threads=1)
    assert 30 * MB < found.peak_bytes < 400 * MB
    assert 0 < found.added_bytes < found.peak_bytes
    assert len(block) == 400 * MB


def test_an_engine_that_does_not_load_is_said(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(engine.folder, folder)
    replace(engine, folder=folder, backend="nowhere").write()
    with pytest.raises(MachineError, match=r"memory could not be measured .*nowhere"):
        footprint(folder)


def test_an_engine_that_does_not_end_is_refused(engine: Engine) -> None:
    with limited(Limits(native_seconds=0)), pytest.raises(InputError, match="did not end within the limit of seconds"):
        footprint(engine.folder)
