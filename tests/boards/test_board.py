"""A board over the real sshd: cuts lose nothing, and whatever it lacks is one sentence."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.backends.engine import Candidate
from edge.backends.openvino.backend import OpenVino
from edge.boards.address import parse_address
from edge.boards.board import Board
from edge.boards.line import Line
from edge.boards.ssh import Patience
from edge.errors import InputError, MachineError
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network
from tests.fixtures.proxy import proxy
from tests.fixtures.sshd import SSHD, WHY_NOT, SshBoard

pytestmark = [pytest.mark.skipif(SSHD is None, reason=WHY_NOT), pytest.mark.usefixtures("client")]

CUTS = 20
RUNS = 12 * CUTS
HASTY = Patience(connect=20.0, alive=20.0, silence=60.0, retries=40)
IMAGES = [np.random.default_rng(seed).normal(size=(1, 3, 32, 32)).astype(np.float32) for seed in range(4)]


def candidate() -> Candidate:
    return Candidate("fp32", "fp32", "fp32", disc_network())


def runs_of(machine: SshBoard) -> list[Path]:
    return list((machine.home / ".cache/segedge/runs").glob("*"))


def left_behind(machine: SshBoard) -> list[str]:
    """Processes on the board that hold its lock still, forks of libraries among them; a minute is theirs to end in."""
    for _ in range(600):
        if not (found := holding(machine)):
            break
        time.sleep(0.1)
    return found


def holding(machine: SshBoard) -> list[str]:
    """Processes on the board that hold its lock."""
    lock = machine.home.parent / "tmp" / "segedge-board.lock"
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # another user's, or gone
            found += [str(link)] if os.readlink(link) == str(lock) else []
    return found


def test_lines_cut_at_random_moments_lose_nothing(machine: SshBoard, tmp_path: Path) -> None:
    """The same outputs as this machine's engine, one engine on the board, and one folder of the deployment."""
    random_ = random.Random(1)
    allowances = [random_.randrange(3_000, 40_000) for _ in range(CUTS)]
    with proxy(machine.port, lambda: allowances.pop() if allowances else None) as between:
        machine.know(between.port)
        board = Board(Line(parse_address(f"{machine.user}@127.0.0.1:{between.port}"), HASTY))
        try:
            identity, _ = board.open("openvino")
            assert identity.title == "OpenVINO"
            there = board.build(candidate())
            outputs = [board.run(there, [IMAGES[index % len(IMAGES)]]) for index in range(RUNS)]
            board.fetch(there, tmp_path)
            times = board.time({"a": there}, IMAGES[0], 0.02, 5, lambda: None)
            assert between.cuts == CUTS
            (run,) = runs_of(machine)
            assert len(list((run / "engines").iterdir())) == 1
        finally:
            board.close()
    built = tmp_path / "engine"
    built.mkdir()
    local = OpenVino().build(candidate(), find_target("cpu"), built)
    runner = OpenVino().load(local)
    seen = [runner.run(IMAGES[index % len(IMAGES)]) for index in range(RUNS)]
    assert np.array_equal(np.concatenate(outputs), np.concatenate(seen))
    assert times["a"].n >= 5 and times["a"].conditions["board"] == board.name
    assert runs_of(machine) == []
    assert not left_behind(machine)


def test_an_interruption_leaves_nothing_on_the_board(machine: SshBoard) -> None:
    before = runs_of(machine)
    board = Board(Line(parse_address(machine.address), HASTY))
    board.open("openvino")
    there = board.build(candidate())

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board.time({"a": there}, IMAGES[0], 1.5, 5, interrupt)
    board.close()
    assert not left_behind(machine) and runs_of(machine) == before == []


def test_a_graph_that_is_refused_is_the_graph_s_fault(machine: SshBoard) -> None:
    bad = disc_network()
    bad.proto.graph.node[0].op_type = "NoSuchOperator"
    board = Board(Line(parse_address(machine.address), HASTY))
    try:
        board.open("openvino")
        with pytest.raises(InputError, match="graph fp32: OpenVINO refuses the graph"):
            board.build(replace(candidate(), model=bad))
    finally:
        board.close()


def test_a_stalled_line_is_one_sentence(machine: SshBoard) -> None:
    with proxy(machine.port) as between:
        machine.know(between.port)
        line = Line(parse_address(f"{machine.user}@127.0.0.1:{between.port}"), HASTY)
        between.stalled.set()
        line._patience = Patience(connect=1.0, alive=0.5, silence=2.0, retries=1)  # a busy machine answers late
        with pytest.raises(MachineError) as refused:
            line.ask("look")
    assert "see that it is on" in str(refused.value) and "\n" not in str(refused.value)


def test_a_silent_board_is_not_waited_for_once_everything_was_stopped(machine: SshBoard) -> None:
    stopped = threading.Event()

    def look() -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    with proxy(machine.port) as between:
        machine.know(between.port)
        address = parse_address(f"{machine.user}@127.0.0.1:{between.port}")
        line = Line(address, Patience(connect=20.0, alive=600.0, silence=600.0, retries=1), look=look)
        between.stalled.set()
        threading.Timer(0.3, stopped.set).start()
        with pytest.raises(KeyboardInterrupt):
            line.ask("look")
        between.stalled.clear()
        line.close()


def test_a_board_in_use_says_by_whom(machine: SshBoard) -> None:
    lock, before = machine.home.parent / "tmp" / "segedge-board.lock", runs_of(machine)
    with lock.open("w") as held:
        held.write(json.dumps({"session": "x", "owner": "ada@lab", "since": "2026-01-01 10:00:00", "pid": 1}))
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(MachineError, match="in use by ada@lab since 2026-01-01"):
            Line(parse_address(machine.address), HASTY)
    assert runs_of(machine) == before


def test_a_host_key_that_is_unknown_or_another_is_refused(machine: SshBoard) -> None:
    known = machine.client / ".ssh" / "known_hosts"
    before = known.read_text()
    address = parse_address(machine.address)
    try:
        known.write_text("")
        with pytest.raises(MachineError, match=r"host key .* is unknown; .*echo .* >> ") as refused:
            Line(address, HASTY)
        entry = str(refused.value).partition("echo '")[2].partition("'")[0]
        assert before.startswith(entry)  # the line that it names is the line that was missing
        other = (machine.client / ".ssh" / "id_ed25519.pub").read_text().split()[:2]
        known.write_text(f"[127.0.0.1]:{machine.port} {' '.join(other)}\n")
        with pytest.raises(MachineError, match=r"host key is not the one in .*ssh-keygen -R"):
            Line(address, HASTY)
    finally:
        known.write_text(before)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "has no python3; install Python 3.8"),
        # Doubles of interpreters that are not here: an old one, one without numpy, a disk that takes 4 kB a file.
        (f'exec {sys.executable} -c "import sys;sys.version_info=(3,6,9);exec(sys.argv[1])" "$2"\n', "is 3.6; 3.8 or"),
        (f'exec {sys.executable} -I -S "$@"\n', "no numpy"),
        (f'ulimit -f 8; exec {sys.executable} "$@"\n', "File too large; free its disk"),
    ],
)
def test_a_board_that_lacks_something_is_one_sentence(machine: SshBoard, script: str | None, sentence: str) -> None:
    python, package = machine.python / "python3", machine.home / ".cache/segedge"
    before = python.read_text()
    kept = package.rename(package.with_name("aside")) if package.exists() else None
    try:
        python.unlink()
        if script is not None:
            python.write_text("#!/bin/sh\n" + script)
            python.chmod(0o755)
        with pytest.raises(MachineError, match=sentence) as refused:
            Line(parse_address(machine.address), HASTY)
        assert "\n" not in str(refused.value)
        assert list(package.glob("*")) == []
    finally:
        python.write_text(before)
        python.chmod(0o755)
        if kept is not None:
            if package.exists():
                package.rmdir()
            kept.rename(package)


@pytest.mark.slow
def test_a_board_without_a_compiler_is_one_sentence(machine: SshBoard) -> None:
    python = machine.python / "python3"
    before = python.read_text()
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys;sys.modules[\'openvino\']=None;exec(sys.argv[1])" "$2"\n'
    )
    try:
        board = Board(Line(parse_address(machine.address), HASTY))
        with pytest.raises(MachineError, match="OpenVINO") as refused:
            board.open("openvino")
        board.close()
        assert "\n" not in str(refused.value) and runs_of(machine) == []
    finally:
        python.write_text(before)
