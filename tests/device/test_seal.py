"""What a board wrote in a place, and nothing else, is read back there."""

import json
import shutil
import stat

from edge.device.seal import KEY_FILE, Seal

TABLE = {"dice": 0.91, "passed": False}


def test_reads_what_it_wrote_and_so_does_the_next_run(tmp_path):
    Seal(tmp_path / "work", home=tmp_path / "home").write(tmp_path / "work" / "a.json", TABLE)
    assert Seal(tmp_path / "work", home=tmp_path / "home").read(tmp_path / "work" / "a.json") == TABLE
    key = tmp_path / "home" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32


def test_a_changed_table_or_no_table_is_none(tmp_path):
    seal, path = Seal(tmp_path, home=tmp_path / "home"), tmp_path / "a.json"
    seal.write(path, TABLE)
    sealed = json.loads(path.read_text())
    for forged in ({**sealed, "table": {**TABLE, "passed": True}}, TABLE, [], {"seal": 1, "table": TABLE}):
        path.write_text(json.dumps(forged))
        assert seal.read(path) is None
    assert seal.read(tmp_path / "none.json") is None


def test_another_place_name_machine_or_user_is_none(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    for name, serial in (("one", "1421"), ("two", "1422")):
        (tmp_path / name / "proc/device-tree").mkdir(parents=True)
        (tmp_path / name / "proc/device-tree/serial-number").write_text(serial)
    seal = Seal(work, tmp_path / "one", home)
    seal.write(work / "a.json", TABLE)
    assert seal.read(work / "a.json") == TABLE
    shutil.copy(work / "a.json", work / "b.json")
    assert seal.read(work / "b.json") is None
    assert Seal(work, tmp_path / "two", home).read(work / "a.json") is None
    assert Seal(work, tmp_path / "one", tmp_path / "other").read(work / "a.json") is None
    copied = shutil.copytree(work, tmp_path / "copied")
    assert Seal(copied, tmp_path / "one", home).read(copied / "a.json") is None


def test_without_a_home_to_write_to_nothing_is_believed_later(tmp_path):
    (tmp_path / "home").write_text("a file")
    seal = Seal(tmp_path, home=tmp_path / "home")
    seal.write(tmp_path / "a.json", TABLE)
    assert seal.read(tmp_path / "a.json") == TABLE
    assert Seal(tmp_path, home=tmp_path / "home").read(tmp_path / "a.json") is None


def test_a_key_that_was_cut_short_is_made_again(tmp_path):
    key = tmp_path / KEY_FILE
    key.parent.mkdir(parents=True)
    key.write_bytes(b"short")
    Seal(tmp_path, home=tmp_path)
    Seal(tmp_path, home=tmp_path)
    assert len(key.read_bytes()) == 32
