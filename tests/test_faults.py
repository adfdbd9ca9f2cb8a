"""Faults of the machine, injected: a full disk and refused writes end a run with exit 3, and leave what was there."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.discs import disc_network, write_discs

KINDS = [errno.ENOSPC, errno.EIO, errno.EACCES]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    write_discs(root / "discs", {"train": 4, "val": 2, "test": 4})
    disc_network().save(root / "discs.onnx")
    return root


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _edge(words: list[str], place: Path, before: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.app", *words], cwd=place, capture_output=True, text=True, preexec_fn=before
    )


@pytest.mark.slow
@pytest.mark.parametrize("most", [1_000, 6_000])
def test_a_disk_that_fills_in_the_compilers_own_write_is_no_verdict(place: Path, tmp_path: Path, most: int) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    words = [
        "deploy",
        str(place / "discs.onnx"),
        "--data",
        str(place / "discs"),
        "--out",
        str(tmp_path / "out" / "run"),
    ]
    done = _edge([*words, "--precisions", "fp32,int8", "--seconds", "0.05", "--allow-small"], tmp_path, small_files)
    assert done.returncode == 3, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert _names(tmp_path / "out") == [], "no run, and nothing beside its place"


@pytest.mark.parametrize("number", KINDS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("call", ["fsync", "replace", "open", "mkdir"])
def test_a_write_that_fails_in_python_leaves_the_old_file(
    number: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.errors import MachineError
    from edge.files import write_json

    path = tmp_path / "a" / "report.json"
    write_json(path, {"old": True})
    really = getattr(os, call)

    def fail(*words: object, **named: object) -> object:
        if call == "open" and not int(words[1]) & os.O_WRONLY:  # reading still works on such a disk
            return really(*words, **named)
        raise OSError(number, os.strerror(number), str(words[0]))

    target = path if call != "mkdir" else tmp_path / "b" / "report.json"
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(MachineError) as caught:
            write_json(target, {"old": False})
    assert caught.value.exit_code == 3
    assert path.read_text() == '{\n "old": true\n}\n'
    assert _names(tmp_path / "a") == ["report.json"]


def test_memory_that_a_compiler_lacks_is_no_verdict(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import openvino

    import edge

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/plugins/intel_cpu/src/graph.cpp:1:\nstd::bad_alloc")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(edge.MachineError, match="ran out of memory"):
        edge.build(
            place / "discs.onnx",
            place / "discs",
            target="cpu",
            precision="fp32",
            out=tmp_path / "engine",
            progress=None,
        )
    assert _names(tmp_path) == []
