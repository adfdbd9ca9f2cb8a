"""Deployments to a board over SSH: the real sshd of this machine, with its CPU as the board's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge.backends.engine import Candidate
from edge.cli.tables import fleet_text
from edge.report.store import read_report
from edge.search.bench import Bench, Profile, Refusal
from edge.search.local_bench import LocalBench
from edge.search.remote_bench import RemoteBench
from tests.fixtures.command import edge
from tests.fixtures.discs import loud_disc_network
from tests.fixtures.same_clock import take_equal_times
from tests.fixtures.sshd import SSHD, WHY_NOT, SshBoard, free_port, ssh_board

pytestmark = [pytest.mark.skipif(SSHD is None, reason=WHY_NOT), pytest.mark.usefixtures("client")]


def deploy(place: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return edge(
        "deploy", "discs.onnx", "--data", "discs", "--out", out, "--precisions", "fp32,int8", "--seconds", "0.05",
        "--budget", "1", "--quiet", *more, folder=place,
    )  # fmt: skip


@pytest.mark.slow
def test_a_fleet_goes_on_without_the_boards_that_do_not_answer(machine: SshBoard, place: Path) -> None:
    done = edge("boards", "add", "desk", machine.address, folder=place)
    assert done.returncode == 0 and "edge boards check asks each what it is" in done.stdout, done.stderr
    assert edge("boards", "add", "gone", f"{machine.user}@127.0.0.1:{free_port()}", folder=place).returncode == 0
    done = edge("boards", "check", "--json", folder=place)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 3 and rows["desk"]["facts"]["python"] and "see that it is on" in rows["gone"]["fault"]
    done = deploy(place, "fleet", "--on", "gone,desk", "--precisions", "fp32", "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert "see that it is on" in said["faults"]["gone"] and said["boards"]["desk"]["status"] == "passed"
    table = json.loads((place / "fleet" / "boards.json").read_text())
    assert table["desk"] == {"status": "passed", "chosen": "fp32"} and table["gone"]["status"] == "none"
    assert (place / "fleet" / "fleet.html").is_file() and (place / "fleet" / "desk" / "report.json").is_file()
    assert not (place / "fleet" / "gone").exists()
    page = (place / "fleet" / "fleet.html").read_text()
    assert "Side by side" in page and '<th scope="row">gone</th>' in page and "see that it is on" in page
    assert "1 run side by side, 1 without a report" in page
    text = fleet_text({"desk": read_report(place / "fleet" / "desk")}, said["faults"]).splitlines()
    assert text[0].split() == ["board", "status", "chosen", "Dice", "p50", "ms"]
    assert text[2].split()[:3] == ["desk", "passed", "fp32"] and text[3].split() == ["gone", "none", "–", "–", "–"]
    assert text[-1].startswith("gone: ") and "see that it is on" in " ".join(text[4:])
    done = deploy(place, "alone", "--on", "gone")
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and not (place / "alone").exists()


@pytest.mark.slow
def test_what_a_board_answers_with_is_limited_by_the_option(machine: SshBoard, place: Path, tmp_path: Path) -> None:
    done = edge(
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
        folder=place,
    )
    assert done.returncode == 0, done.stderr
    words = ["profile", f"{tmp_path}/e", "--on", machine.address, "--seconds", "0.05", "--quiet"]
    done = edge("--limit", "message_bytes=100", *words, folder=place)
    assert done.returncode == 3 and done.stderr.count("\n") == 1, done.stderr
    assert "more than the 100 that are read; where you trust it, run edge --limit message_bytes=N ..." in done.stderr
    assert edge("--limit", "message_bytes=10000000", *words, folder=place).returncode == 0


@pytest.mark.slow
def test_a_board_gives_what_this_machine_gives(
    machine: SshBoard, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_equal_times(monkeypatch, tmp_path / "cache")
    for out, more in (("here", ()), ("there", ("--on", machine.address))):
        done = deploy(place, out, "--budget", "3600", *more)
        assert done.returncode == 0, done.stderr
    here, there = (json.loads((place / out / "report.json").read_text()) for out in ("here", "there"))
    assert (place / "here" / "plan.json").read_text() == (place / "there" / "plan.json").read_text()
    scores = [{row["name"]: row["accuracy"] for row in report["engines"]} for report in (here, there)]
    assert scores[0] == scores[1]
    assert there["status"] == "passed"
    for row in there["engines"]:
        conditions = row["latency_ms"]["conditions"]
        assert conditions["board"] == machine.address and "hottest_after" in conditions and "power" in conditions
        assert set(row["latency_ms"]["conditions"]["interleaved_with"])
    assert any(machine.address in note for note in there["notes"])
    engines = [str(Path("there") / row["path"]) for row in there["engines"]]
    done = edge(
        "profile",
        engines[0],
        "--against",
        engines[1],
        "--on",
        machine.address,
        "--seconds",
        "0.05",
        "--json",
        folder=place,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["engines"]) == set(engines) and found["ratio"]["ratio"] > 0
    done = edge("bundle", "there", "--target", "cpu", "--out", "kit.tar.gz", "--quiet", folder=place)
    assert done.returncode == 0, done.stderr
    done = edge(
        "verify",
        "kit.tar.gz",
        "--on",
        machine.address,
        "--out",
        "verified",
        "--seconds",
        "0.05",
        "--quiet",
        folder=place,
    )
    assert done.returncode == 0, done.stderr
    verified = json.loads((place / "verified" / "report.json").read_text())
    dice = [{row["name"]: row["accuracy"]["dice"]["mean"] for row in report["engines"]} for report in (there, verified)]
    assert dice[0] == dice[1] and verified["status"] == "passed"
    assert (place / "verified" / "report.html").is_file()
    # What travelled stays for the next deployment; what this one made is gone.
    assert list((machine.home / ".cache/segedge/runs").iterdir()) == []
    assert len([p for p in (machine.home / ".cache/segedge").iterdir() if p.name != "runs"]) == 1


@pytest.mark.slow
def test_a_mixed_plan_found_on_a_board_is_the_one_found_here(
    machine: SshBoard, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT8 everywhere fails on this network, so the search looks layer by layer; harms and scores are real.

    What a layer and a graph take is the same in both, since two measurements of one machine differ too.
    """
    take_equal_times(monkeypatch, tmp_path / "cache")
    for bench in (LocalBench, RemoteBench):
        monkeypatch.setattr(bench, "profiles", steady(bench.profiles))
    loud_disc_network().save(place / "loud.onnx")
    words = ("loud.onnx", "--data", "discs", "--gate", "99", "--seconds", "0.05", "--budget", "3600", "--quiet")
    for out, more in (("loud-here", ()), ("loud-there", ("--on", machine.address))):
        done = edge("deploy", *words, "--out", out, "--precisions", "fp32,int8,mixed", *more, folder=place)
        assert done.returncode == 0, done.stderr
    here, there = (json.loads((place / out / "report.json").read_text()) for out in ("loud-here", "loud-there"))
    plans = [json.loads((place / out / "plan.json").read_text()) for out in ("loud-here", "loud-there")]
    assert plans[0] == plans[1]
    assert plans[0]["nodes"] == {"first/Conv": "int8", "second/Conv": "float", "head/Conv": "float"}
    scores = [{row["name"]: row["accuracy"] for row in report["engines"]} for report in (here, there)]
    assert scores[0] == scores[1] and {"fp32", "int8", "mixed"} <= set(scores[0])
    verdicts = {row["name"]: row["gate"]["passed"] for row in there["engines"]}
    assert verdicts["mixed"] and not verdicts["int8"]


def steady(profiles: Callable[..., list[list[Profile] | Refusal]]) -> Callable[..., list[list[Profile] | Refusal]]:
    """A bench's profiles with a double of the clock: 0.1 ms for a layer in INT8, 1 ms for any other."""

    def table(profile: Profile) -> Profile:
        return tuple(replace(layer, ms=0.1 if layer.precision == "int8" else 1.0) for layer in profile)

    def told(bench: Bench, candidates: Sequence[Candidate]) -> list[list[Profile] | Refusal]:
        found = profiles(bench, candidates)
        return [one if isinstance(one, Refusal) else [table(profile) for profile in one] for one in found]

    return told


@pytest.mark.slow
def test_boards_work_at_the_same_time(machine: SshBoard, place: Path, tmp_path: Path) -> None:
    """Two boards, each with a lock of its own: both have begun before either is done, and both give the same Dice."""
    with ssh_board(tmp_path / "second") as second:
        key = (machine.client / ".ssh" / "id_ed25519.pub").read_text()
        (second.home.parent / "host" / "authorized_keys").write_text(key)
        with (machine.client / ".ssh" / "known_hosts").open("a") as known:
            known.write((second.client / ".ssh" / "known_hosts").read_text())
        both = f"{machine.address},{second.address}"
        options = ("--data", "discs", "--out", "both", "--precisions", "fp32", "--seconds", "0.05", "--budget", "1")
        done = edge("deploy", "discs.onnx", *options, "--on", both, "--json", folder=place)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("board ")]
    begun = {address: lines.index(f"board {address}: images") for address in both.split(",")}
    ended = {address: lines.index(f"board {address}: report") for address in both.split(",")}
    assert max(begun.values()) < min(ended.values())
    reports = json.loads(done.stdout)["boards"].values()
    dice = [report["engines"][0]["accuracy"]["dice"]["mean"] for report in reports]
    assert len(dice) == 2 and dice[0] == dice[1]
