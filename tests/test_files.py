from __future__ import annotations

import errno
import hashlib
import math
import os
from pathlib import Path

import pytest

from edge.errors import InputError, MachineError
from edge.files import (
    read_document,
    read_json,
    read_toml,
    replaced_file,
    replaced_folder,
    sha256_bytes,
    sha256_file,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_hashes(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == sha256_bytes(data) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("read", "kind"), [(read_toml, "TOML"), (read_json, "JSON")])
def test_reading_what_cannot_be_read(tmp_path: Path, read, kind: str) -> None:
    path = tmp_path / "x"
    with pytest.raises(InputError, match="x: no such file"):
        read(path)
    for content in (b"{ = ", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"x: is not (valid {kind}|UTF-8)"):
            read(path)
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep/down/x.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replaced_file(path) as sibling:
        sibling.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(path.parent) == ["x.txt"]
    write_text(path, "new ü")
    assert path.read_bytes() == "new ü".encode()


def test_a_document_is_of_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"schema": "edge.x/1", "a": 1})
    assert read_document(path, "edge.x/1", "make it again") == {"a": 1}
    for other in ({"schema": "edge.x/2", "a": 1}, {"a": 1}, [1]):
        write_json(path, other)
        with pytest.raises(InputError, match=r"x\.json: is not of schema edge\.x/1; make it again"):
            read_document(path, "edge.x/1", "make it again")


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2.5, None]})
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", math.nan)
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None]}


def test_a_folder_is_swapped_in_whole(tmp_path: Path) -> None:
    run = tmp_path / "runs/one"
    for text in ("first", "second"):
        with replaced_folder(run, "report.json") as fresh:
            (fresh / "report.json").write_text(text)
            (fresh / f"{text}.png").write_text("")
            assert fresh.parent == run.parent
    assert names(run) == ["report.json", "second.png"]
    assert names(run.parent) == ["one"]


def test_a_failed_run_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "one"
    with replaced_folder(run, "report.json") as fresh:
        (fresh / "report.json").write_text("old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), replaced_folder(run, "report.json") as fresh:
            (fresh / "report.json").write_text("half")
            raise error
    assert (run / "report.json").read_text() == "old"
    assert names(tmp_path) == ["one"]


def test_a_first_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "one", "report.json"):
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.tex").write_text("years of work")
    fault = r"thesis: holds something else \(no report\.json in it\); choose another --out"
    with pytest.raises(InputError, match=fault), replaced_folder(thesis, "report.json"):
        raise AssertionError
    assert names(thesis) == ["chapter1.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="holds something else"), replaced_folder(tmp_path / "file", "report.json"):
        raise AssertionError
    (tmp_path / "empty").mkdir()
    with replaced_folder(tmp_path / "empty", "report.json") as fresh:
        (fresh / "report.json").write_text("")
    assert names(tmp_path / "empty") == ["report.json"]


def test_a_file_in_the_way_is_the_users_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file/run", tmp_path / "file/deeper/run"):
        with pytest.raises(InputError, match="a folder on the way is a file"), replaced_folder(out, "report.json"):
            raise AssertionError
        with pytest.raises(InputError, match="a folder on the way is a file"):
            write_text(out, "")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("x" * 300, "the name is too long; choose another --out"),
        ("/", "choose another --out|is a folder"),
    ],
)
def test_a_name_that_cannot_be_is_the_users_fault(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault), replaced_folder(tmp_path / name, "report.json"):
        raise AssertionError
    with pytest.raises(InputError, match=fault):
        write_text(tmp_path / name, "")
    assert names(tmp_path) == []


def test_a_folder_where_a_file_should_go_is_the_users_fault(tmp_path: Path) -> None:
    for path in (tmp_path, Path(), Path("/")):
        with pytest.raises(InputError, match="is a folder; give --out the name of a file"):
            write_text(path, "")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_for_another_reason_is_the_users_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # what /proc answers

    monkeypatch.setattr(Path, "mkdir", mkdir)
    fault = "cannot be made .No such file or directory.; choose another --out"
    with pytest.raises(InputError, match=fault), replaced_folder(tmp_path / "run", "report.json"):
        raise AssertionError
    with pytest.raises(InputError, match=fault):
        write_text(tmp_path / "x", "")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_full_or_locked_disk_is_the_machines_fault(tmp_path: Path, code: int) -> None:
    fault = r"cannot write \(.*\); choose another --out or free the disk"
    with pytest.raises(MachineError, match=fault) as caught, replaced_folder(tmp_path / "run", "report.json") as fresh:
        (fresh / "half").write_text("x")
        raise OSError(code, os.strerror(code))
    assert caught.value.exit_code == 3
    assert names(tmp_path) == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(MachineError, match="No space left"), replaced_file(tmp_path / "x") as sibling:
        sibling.unlink()
        sibling.symlink_to("/dev/full")
        sibling.write_text("x" * 100_000)
    assert names(tmp_path) == []


def test_another_os_error_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replaced_file(tmp_path / "x"):
        (tmp_path / "nowhere/at/all").read_text()


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    disk, run = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    (disk / "report.json").write_text("{}")
    (disk / "old.png").write_text("")
    run.symlink_to(disk)
    with replaced_folder(run, "report.json") as fresh:
        (fresh / "report.json").write_text("[]")
    assert run.is_symlink() and names(disk) == ["report.json"] and (disk / "report.json").read_text() == "[]"
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "new"
    assert names(tmp_path) == ["disk", "link.txt", "real.txt", "run"]
