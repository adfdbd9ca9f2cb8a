"""A stdout that is closed, narrow-minded or gone never turns a command into a bug."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures.command import read_by_nobody
from tests.fixtures.discs import TASK, disc_network
from tests.fixtures.runtime_kit import make_engine

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
@pytest.mark.slow
def test_a_strange_stdout_is_no_bug(shell: str) -> None:
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


@pytest.mark.parametrize("words", [["targets", "--json"], ["targets"], ["--help"], ["--version"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.slow
def test_a_reader_that_has_gone_changes_no_exit_code(words: list[str], unbuffered: bool) -> None:
    assert read_by_nobody(words, unbuffered) == (0, b"")


def test_messages_that_nobody_reads_change_no_exit_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli.app", "segment", "/none", "a.png"], stderr=writer, check=False
    )
    os.close(writer)
    assert done.returncode == 2


def test_a_library_says_nothing_beside_a_refusal(tmp_path: Path) -> None:
    """tifffile logs each odd tag; its lines would be shown, with the file's own bytes, before the sentence."""
    engine = make_engine(tmp_path / "engine", TASK).folder
    pages = [Image.fromarray(np.full((16, 16), level, np.uint8)) for level in (10, 200)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    data = bytearray(stream.getvalue())
    (directory,) = struct.unpack("<I", data[4:8])
    data[directory + 4 : directory + 6] = b"\xff\x77"  # the kind of the first tag's value
    (tmp_path / "b.tif").write_bytes(data)
    line = [sys.executable, "-m", "edge.cli.app", "segment", str(engine), str(tmp_path / "b.tif"), "--out", "out"]
    done = subprocess.run([*line, "--quiet"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_a_quiet_starter_task_is_still_written(tmp_path: Path) -> None:
    """``edge init net.onnx --quiet > task.toml`` left an empty file."""
    disc_network().save(tmp_path / "net.onnx")
    line = [sys.executable, "-m", "edge.cli.app", "init", str(tmp_path / "net.onnx"), "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "" and "[task]" in done.stdout, done.stderr
