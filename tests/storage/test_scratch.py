"""Folders for a moment: nobody else's, gone afterwards, and after a kill gone at the next start."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from edge.storage.scratch import scratch


def test_a_killed_process_leaves_nothing_after_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    child = os.fork()
    if child == 0:
        with scratch() as folder:
            (folder / "graph.onnx").write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert len(list(tmp_path.iterdir())) == 1
    with scratch() as folder:
        assert list(tmp_path.iterdir()) == [folder] and stat.S_IMODE(folder.stat().st_mode) == 0o700
        with scratch() as other:
            assert other != folder and folder.is_dir(), "what a living process holds stays"
    assert list(tmp_path.iterdir()) == []
