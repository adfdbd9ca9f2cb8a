"""``edge deploy --on`` a board that something is wrong with: one sentence, exit 3, and nothing left anywhere."""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from edge.boards import line
from edge.boards.ssh import Patience
from tests.fixtures.command import edge
from tests.fixtures.proxy import proxy
from tests.fixtures.sshd import SSHD, WHY_NOT, SshBoard

pytestmark = [pytest.mark.skipif(SSHD is None, reason=WHY_NOT), pytest.mark.usefixtures("client")]

SHORT = Patience(connect=5.0, alive=0.5, silence=3.0, retries=1)
Spoiled = Callable[[SshBoard], AbstractContextManager[str]]
"""What is wrong with a board, until its block ends; gives the address to deploy to."""


@contextmanager
def another_host_key(machine: SshBoard) -> Iterator[str]:
    known = machine.client / ".ssh" / "known_hosts"
    before = known.read_text()
    other = (machine.client / ".ssh" / "id_ed25519.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{machine.port} {' '.join(other)}\n")
    yield machine.address
    known.write_text(before)


def with_python(script: str | None) -> Spoiled:
    """A board whose ``python3`` is this shell script; None for none."""

    @contextmanager
    def spoiled(machine: SshBoard) -> Iterator[str]:
        python = machine.python / "python3"
        before = python.read_text()
        python.unlink()
        if script is not None:
            python.write_text(f"#!/bin/sh\n{script}\n")
            python.chmod(0o755)
        yield machine.address
        python.unlink(missing_ok=True)
        python.write_text(before)
        python.chmod(0o755)

    return spoiled


@contextmanager
def in_use(machine: SshBoard) -> Iterator[str]:
    lock = machine.home.parent / "tmp" / "segedge-board.lock"
    with lock.open("w") as held:
        held.write(json.dumps({"session": "x", "owner": "ada@lab", "since": "2026-01-01 10:00:00", "pid": 1}))
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        yield machine.address


@contextmanager
def stalling(machine: SshBoard) -> Iterator[str]:
    """A line that passes nothing on any more once the board has begun to work; its connections stay open."""
    runs, over = machine.home / ".cache/segedge/runs", threading.Event()
    with proxy(machine.port) as between:
        machine.know(between.port)

        def stall() -> None:
            while not over.is_set() and not list(runs.glob("*/blobs/*")):
                time.sleep(0.02)
            between.stalled.set()

        watch = threading.Thread(target=stall)
        watch.start()
        yield f"{machine.user}@127.0.0.1:{between.port}"
        over.set()
        watch.join()


_NO_OPENVINO = "import sys;sys.modules['openvino']=None;exec(sys.argv[1])"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("cpu-arm64", "its CPU is x86_64, ARM CPU (aarch64) is aarch64; give --target cpu"),
        ("jetson-orin-nano-8gb", "not a Jetson Orin Nano 8 GB"),
    ],
)
def test_another_device_is_one_sentence(target: str, sentence: str, machine: SshBoard, place: Path) -> None:
    if platform.machine() != "x86_64" and target == "cpu-arm64":
        pytest.skip("this machine is the target")
    words = ("deploy", "discs.onnx", "--data", "discs", "--out", "run", "--target", target, "--quiet")
    done = edge(*words, "--on", machine.address, folder=place)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert not (place / "run").exists() and list((machine.home / ".cache/segedge/runs").glob("*")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoiled", "sentence"),
    [
        pytest.param(another_host_key, "its host key is not the one in", id="wrong host key"),
        pytest.param(with_python(None), "has no python3; install Python 3.8", id="no Python"),
        pytest.param(with_python(f'exec {sys.executable} -c "{_NO_OPENVINO}" "$2"'), "OpenVINO", id="no compiler"),
        # Doubles of a full disk: no file may grow beyond 4 kB, and beyond 24 kB, which the package's files do not.
        pytest.param(with_python(f'ulimit -f 8; exec {sys.executable} "$@"'), "File too large; free", id="full disk"),
        pytest.param(with_python(f'ulimit -f 48; exec {sys.executable} "$@"'), "free", id="a disk that fills"),
        pytest.param(in_use, "in use by ada@lab since 2026-01-01", id="second user"),
        pytest.param(stalling, "see that it is on", id="stalled line"),
    ],
)
def test_a_board_that_cannot_be_used_is_one_sentence(
    spoiled: Spoiled, sentence: str, machine: SshBoard, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(machine.home / ".cache", ignore_errors=True)  # a board that was never deployed to
    if spoiled is stalling:
        monkeypatch.setattr(line, "Line", partial(line.Line, patience=SHORT))
    with spoiled(machine) as address:
        done = edge(
            "deploy", "discs.onnx", "--data", "discs", "--out", "run", "--precisions", "fp32,int8", "--seconds", "0.01",
            "--budget", "0", "--quiet", "--on", address, folder=place,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["discs", "discs.onnx"]
    assert list(machine.home.glob(".cache/segedge/.new-*")) == []
    runs = machine.home / ".cache/segedge/runs"
    for _ in range(10 * int(2 * SHORT.linger)):  # as long as it might be taken up again
        if not list(runs.glob("*")):
            break
        time.sleep(0.1)
    assert list(runs.glob("*")) == []
    with contextlib.suppress(FileNotFoundError):
        (machine.home.parent / "tmp" / "segedge-board.lock").unlink()
