"""Swapping into place: killed at every step, run twice at once, on a file system without exchange; nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edge.files import replaced_file, replaced_folder
from edge.storage import swap as swapping
from edge.storage.swap import sweep

CHILD = """
import os, signal, sys
from pathlib import Path
import edge.storage.swap as swapping
from edge.files import replaced_folder, write_text

place, at, exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchange"
steps = 0

def counted(call):
    def step(*words, **named):
        global steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*words, **named)
    return step

if not exchange:
    swapping._rename2 = lambda *_: False
else:
    swapping._rename2 = counted(swapping._rename2)
for name in ("rename", "replace", "fsync", "unlink", "rmdir", "open", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
with replaced_folder(place, "report.json") as fresh:
    (fresh / "report.json").write_text("new")
    (fresh / "engines").mkdir()
    write_text(fresh / "engines" / "model.bin", "new")
print("done")
"""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _write(place: Path, text: str) -> None:
    with replaced_folder(place, "report.json") as fresh:
        (fresh / "report.json").write_text(text)
        (fresh / "engines").mkdir()
        (fresh / "engines" / "model.bin").write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["exchange", "two renames"])
@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_every_step_leaves_the_old_or_the_new_one_whole(tmp_path: Path, way: str, there: bool) -> None:
    for at in range(1, 200):
        place = tmp_path / f"{at}" / "run"
        place.parent.mkdir()
        if there:
            _write(place, "old")
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(place), str(at), way], capture_output=True, text=True
        )
        sweep(place)
        if there or place.exists():
            found = {path.read_text() for path in (place / "report.json", place / "engines" / "model.bin")}
            assert found in ({"old"}, {"new"}), (at, found)
        assert _names(place.parent) in (["run"], [] if not there else ["run"]), at
        if done.returncode == 0:
            assert (place / "report.json").read_text() == "new" and at > 10
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("exchange", [True, False])
def test_two_runs_at_once_leave_one_of_them_whole(tmp_path: Path, exchange: bool) -> None:
    place = tmp_path / "run"
    script = f"""
import sys
from pathlib import Path
import edge.storage.swap as swapping
from edge.files import replaced_folder
if not {exchange}:
    swapping._rename2 = lambda *_: False
for _ in range(100):
    with replaced_folder(Path({str(place)!r}), "report.json") as fresh:
        (fresh / "report.json").write_text(sys.argv[1])
        (fresh / sys.argv[1]).write_text("")
"""
    runs = [subprocess.Popen([sys.executable, "-c", script, name], stderr=subprocess.PIPE) for name in ("a", "b")]
    said = [run.communicate()[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    winner = (place / "report.json").read_text()
    assert _names(place) == [winner, "report.json"] and _names(tmp_path) == ["run"]


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    place = tmp_path / "run"
    with replaced_folder(place, "report.json") as fresh:
        code = (
            "import sys; from pathlib import Path; from edge.storage.swap import sweep; print(sweep(Path(sys.argv[1])))"
        )
        other = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True)
        assert other.stdout.strip() == "[]" and fresh.is_dir()
        (fresh / "report.json").write_text("new")
    assert _names(tmp_path) == ["run"]


def test_only_leftovers_of_ours_for_this_place_are_swept(tmp_path: Path) -> None:
    place = tmp_path / "run"
    kept = [".run.0123abcd", ".run.git", ".runs.0123abcd.segedge", "run.0123abcd.segedge"]
    for name in [*kept, ".run.0123abcd.segedge", ".run.89abcdef.segedge-old"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "reference.npz").write_text("of patients")
    assert [path.name for path in sweep(place)] == [".run.89abcdef.segedge-old", ".run.0123abcd.segedge"]
    assert _names(tmp_path) == sorted([*kept, "run"])  # the old one, which had no successor, is back


def test_a_full_disk_at_the_last_flush_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "run"
    _write(place, "old")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="No space left"):
        _write(place, "new")
    with pytest.raises(Exception, match="No space left"), replaced_file(tmp_path / "x") as sibling:
        sibling.write_text("new")
    assert (place / "report.json").read_text() == "old" and _names(tmp_path) == ["run"]


def test_the_old_one_comes_back_where_the_second_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "run"
    _write(place, "old")
    really, calls = os.rename, []

    def rename(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, os.strerror(5))
        really(source, target)

    monkeypatch.setattr(swapping, "_rename2", lambda *_: False)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(Exception, match="Input/output"):
        _write(place, "new")
    assert (place / "report.json").read_text() == "old" and _names(tmp_path) == ["run"]


def test_a_signal_as_soon_as_the_draft_is_made_leaves_nothing(tmp_path: Path) -> None:
    """As Ctrl-C does between the folder's making and its first file: found by ``make faults``."""
    from edge.storage.swap import draft

    def make(path: Path) -> None:
        path.mkdir()
        raise KeyboardInterrupt

    (tmp_path / "run").mkdir()
    with pytest.raises(KeyboardInterrupt), draft(tmp_path / "run", make):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
