"""Deployments to a board over SSH: the real sshd of this machine, with its CPU as the board's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.sshd import SSHD, WHY_NOT, SshBoard, free_port, ssh_board

pytestmark = pytest.mark.skipif(SSHD is None, reason=WHY_NOT)

SPLITS = {"train": 6, "val": 4, "test": 24}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBoard]:
    with ssh_board(tmp_path_factory.mktemp("board")) as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deploy")
    write_discs(root / "discs", SPLITS)
    disc_network().save(root / "discs.onnx")
    return root


def edge(board: SshBoard, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The user's command, with the home folder of the board's client."""
    environment = {**os.environ, "HOME": str(board.client)}
    environment.pop("SSH_AUTH_SOCK", None)
    command = [sys.executable, "-m", "edge.cli.app", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False)


def deploy(board: SshBoard, place: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return edge(
        board, place, "deploy", "discs.onnx", "--data", "discs", "--out", out, "--precisions", "fp32,int8", "--seconds",
        "0.05", "--budget", "1", "--quiet", *more,
    )  # fmt: skip


@pytest.mark.slow
def test_a_fleet_goes_on_without_the_boards_that_do_not_answer(board: SshBoard, place: Path) -> None:
    done = edge(board, place, "boards", "add", "desk", board.address)
    assert done.returncode == 0, done.stderr
    assert edge(board, place, "boards", "add", "gone", f"{board.user}@127.0.0.1:{free_port()}").returncode == 0
    done = edge(board, place, "boards", "check", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 3 and rows["desk"]["facts"]["python"] and "see that it is on" in rows["gone"]["fault"]
    done = deploy(board, place, "fleet", "--on", "gone,desk", "--precisions", "fp32", "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert "see that it is on" in said["faults"]["gone"] and said["boards"]["desk"]["status"] == "passed"
    table = json.loads((place / "fleet" / "boards.json").read_text())
    assert table["desk"] == {"status": "passed", "chosen": "fp32"} and table["gone"]["status"] == "none"
    assert (place / "fleet" / "fleet.html").is_file() and (place / "fleet" / "desk" / "report.json").is_file()
    assert not (place / "fleet" / "gone").exists()
    page = (place / "fleet" / "fleet.html").read_text()
    assert "Side by side" in page and '<th scope="row">gone</th>' in page and "see that it is on" in page
    done = deploy(board, place, "alone", "--on", "gone")
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and not (place / "alone").exists()


@pytest.mark.slow
def test_what_a_board_answers_with_is_limited_by_the_option(board: SshBoard, place: Path, tmp_path: Path) -> None:
    done = edge(
        board,
        place,
        "build",
        "discs.onnx",
        "--data",
        "discs",
        "--target",
        "cpu",
        "--precision",
        "fp32",
        "--out",
        f"{tmp_path}/e",
    )
    assert done.returncode == 0, done.stderr
    words = ["profile", f"{tmp_path}/e", "--on", board.address, "--seconds", "0.05", "--quiet"]
    done = edge(board, place, "--limit", "message_bytes=100", *words)
    assert done.returncode == 3 and done.stderr.count("\n") == 1, done.stderr
    assert "more than the 100 that are read; where you trust it, run edge --limit message_bytes=N ..." in done.stderr
    assert edge(board, place, "--limit", "message_bytes=10000000", *words).returncode == 0


@pytest.mark.slow
def test_a_board_gives_what_this_machine_gives(board: SshBoard, place: Path) -> None:
    for out, more in (("here", ()), ("there", ("--on", board.address))):
        done = deploy(board, place, out, *more)
        assert done.returncode == 0, done.stderr
    here, there = (json.loads((place / out / "report.json").read_text()) for out in ("here", "there"))
    assert (place / "here" / "plan.json").read_text() == (place / "there" / "plan.json").read_text()
    scores = [{row["name"]: row["accuracy"] for row in report["engines"]} for report in (here, there)]
    assert scores[0] == scores[1]
    assert there["status"] == "passed"
    for row in there["engines"]:
        conditions = row["latency_ms"]["conditions"]
        assert conditions["board"] == board.address and "hottest_after" in conditions and "power" in conditions
        assert set(row["latency_ms"]["conditions"]["interleaved_with"])
    assert any(board.address in note for note in there["notes"])
    engines = [str(Path("there") / row["path"]) for row in there["engines"]]
    done = edge(
        board,
        place,
        "profile",
        engines[0],
        "--against",
        engines[1],
        "--on",
        board.address,
        "--seconds",
        "0.05",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["engines"]) == set(engines) and found["ratio"]["ratio"] > 0
    done = edge(board, place, "bundle", "there", "--target", "cpu", "--out", "kit.tar.gz", "--quiet")
    assert done.returncode == 0, done.stderr
    done = edge(
        board, place, "verify", "kit.tar.gz", "--on", board.address, "--out", "verified", "--seconds", "0.05", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    verified = json.loads((place / "verified" / "report.json").read_text())
    dice = [{row["name"]: row["accuracy"]["dice"]["mean"] for row in report["engines"]} for report in (there, verified)]
    assert dice[0] == dice[1] and verified["status"] == "passed"
    assert (place / "verified" / "report.html").is_file()
    # What travelled stays for the next deployment; what this one made is gone.
    assert list((board.home / ".cache/segedge/runs").iterdir()) == []
    assert len([p for p in (board.home / ".cache/segedge").iterdir() if p.name != "runs"]) == 1


@pytest.mark.slow
def test_boards_work_at_the_same_time(board: SshBoard, place: Path, tmp_path: Path) -> None:
    """Two boards, each with a lock of its own: both have begun before either is done, and both give the same Dice."""
    with ssh_board(tmp_path / "second") as second:
        key = (board.client / ".ssh" / "id_ed25519.pub").read_text()
        (second.home.parent / "host" / "authorized_keys").write_text(key)
        with (board.client / ".ssh" / "known_hosts").open("a") as known:
            known.write((second.client / ".ssh" / "known_hosts").read_text())
        both = f"{board.address},{second.address}"
        options = ("--data", "discs", "--out", "both", "--precisions", "fp32", "--seconds", "0.05", "--budget", "1")
        done = edge(board, place, "deploy", "discs.onnx", *options, "--on", both, "--json")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("board ")]
    begun = {address: lines.index(f"board {address}: images") for address in both.split(",")}
    ended = {address: lines.index(f"board {address}: report") for address in both.split(",")}
    assert max(begun.values()) < min(ended.values())
    reports = json.loads(done.stdout)["boards"].values()
    dice = [report["engines"][0]["accuracy"]["dice"]["mean"] for report in reports]
    assert len(dice) == 2 and dice[0] == dice[1]
