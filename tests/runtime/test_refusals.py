"""One table of refusals, to which Python's and the C++ runtime's commands are both held: exit code and words."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomllib
from PIL import Image

from edge.device.manifest import DIGEST, MANIFEST, digest_line
from edge.storage.binding import BLANK, bind
from edge.task.task import SegmentationTask
from edge.trust.keys import TRUSTED_FOLDER, new_key
from edge.trust.signature import sign
from tests.fixtures import forge
from tests.fixtures.runtime_kit import make_engine

CASES = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text())["case"]
ON_BOARDS = [case for case in CASES if "limit" in case or "PLACE/b.png" in case["words"]]
"""What a board reads too: pictures and limits. (Its engines are built there, from graphs that its manifest binds.)"""
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(/tmp/started) (w) file closefile showpage\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _make(path: Path, what: str, place: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    if what.startswith("text "):
        path.write_text(what.removeprefix("text "))
        return
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what.startswith("link to "):
        path.symlink_to(what.removeprefix("link to ").replace("PLACE", str(place)))
    elif what == "picture":
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    elif what == "half":
        path.write_bytes((place / "a.png").read_bytes()[:-30])
    elif what == "postscript":
        path.write_bytes(POSTSCRIPT)
    elif what == "png without pixels":
        head = (8).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b""))
    else:
        path.write_bytes(b"")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine folder to copy."""
    folder = tmp_path_factory.mktemp("sound") / "engine"
    return make_engine(folder, SegmentationTask((64, 64), classes=("nucleus",))).folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs of keys, ``mine`` and ``other``."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        new_key(folder / name)
    return folder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def _prepare(case: dict, sound: Path, keys: Path, folder: Path) -> list[str]:
    """Everything the case names, and its words with real paths."""
    place = folder / "place"
    place.mkdir()
    engine = Path(shutil.copytree(sound, folder / "engine"))
    if "sign" in case:
        sign(engine, keys / case["sign"])
    _make(place / "a.png", "picture", place)
    for name, what in case.get("make", {}).items():
        _make(place / name, what, place)
    if "edit" in case:
        text = (engine / "engine.json").read_text()
        assert text.count(case["edit"][0]) == 1
        text = text.replace(*case["edit"])
        if case.get("bind", True):
            head, _, tail = text.partition('"binding": "')
            text = bind((head + '"binding": "' + BLANK + tail[64:]).encode()).decode()
        (engine / "engine.json").write_text(text)
    words = [word.replace("ENGINE", str(engine)).replace("PLACE", str(place)) for word in case["words"]]
    if "home" in case:
        configured = folder / "home" / TRUSTED_FOLDER
        configured.mkdir(parents=True)
        shutil.copyfile(keys / f"{case['trust']}.pub", configured / case["home"])
    elif "trust" in case:
        words += ["--trusted-key", str(keys / f"{case['trust']}.pub")]
    return words


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()}


def _require_refused(
    case: dict, sound: Path, keys: Path, folder: Path, call: Callable[[list[str]], tuple[int, str]]
) -> None:
    words = _prepare(case, sound, keys, folder)
    before = _files(folder)
    code, said = call(words)
    says = case["says"] if isinstance(case["says"], list) else [case["says"]]
    assert any(words in said for words in says), said
    assert code == case["code"]
    assert said.count("\n") == 1 and said.startswith("error: "), "one sentence"
    assert _files(folder) == before, "nothing is written, nothing is lost"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_python_refuses(
    case: dict,
    sound: Path,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edge.cli.app import run_command

    def call(words: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["edge", *case.get("limit", []), "segment", *words, "--quiet"])
        with pytest.raises(SystemExit) as ended:
            run_command()
        return int(ended.value.code or 0), capsys.readouterr().err

    _require_refused(case, sound, keys, tmp_path, call)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_runtime_refuses(
    case: dict, sound: Path, keys: Path, tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    def call(words: list[str]) -> tuple[int, str]:
        done = run(*case.get("limit", []), "infer", *words)
        return done.returncode, done.stderr

    _require_refused(case, sound, keys, tmp_path, call)


@pytest.mark.parametrize("case", ON_BOARDS, ids=lambda case: case["name"])
def test_the_boards_half_refuses(
    case: dict, sound: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of an unpacked bundle, given the folder that the images lie in; it tells facts before the refusal."""
    from edge.device.__main__ import main

    bundle = _bundle(tmp_path / "bundle")
    kept = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]

    def call(words: list[str]) -> tuple[int, str]:
        pictures = str(Path(words[1]).parent)
        code = main(["verify", "--bundle", str(bundle), "--images", pictures, *kept, *case.get("limit", [])])
        return code, capsys.readouterr().err.splitlines(keepends=True)[-1]

    _require_refused(case, sound, keys, tmp_path, call)


def test_a_board_takes_the_picture_that_the_others_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that what it refuses above it refuses for that: it goes on to the graph, which is none in this bundle."""
    from edge.device.__main__ import main

    place = tmp_path / "place"
    place.mkdir()
    _make(place / "a.png", "picture", place)
    bundle = _bundle(tmp_path / "bundle")
    kept = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    assert main(["verify", "--bundle", str(bundle), "--images", str(place), *kept]) in (1, 2)
    assert "a.png" not in capsys.readouterr().err


def _bundle(folder: Path) -> Path:
    """An unpacked bundle for this machine, sound but for its graph."""
    task = SegmentationTask((64, 64), classes=("nucleus",)).to_table()
    text = forge.manifest(task=task, runs_on={"kind": "cpu", "architecture": platform.machine()})
    for name, data in {**forge.FILES, MANIFEST: text, DIGEST: digest_line(text)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_both_take_an_engine_that_a_trusted_key_has_signed(
    sound: Path, keys: Path, tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    import edge

    words = _prepare({"words": ["ENGINE", "PLACE/a.png"], "sign": "mine"}, sound, keys, tmp_path)
    done = run("infer", *words, "--out", tmp_path / "cpp", "--trusted-key", keys / "mine.pub")
    assert (done.returncode, done.stderr) == (0, f"{words[0]}: is signed by {keys / 'mine.pub'}\n")
    with edge.load_engine(words[0], trusted_key=[keys / "mine.pub"]) as engine:
        assert engine.vouched + "\n" == done.stderr
    done = run("infer", *words, "--out", tmp_path / "cpp")
    assert done.returncode == 0 and "..., which nothing here checks; give --trusted-key FILE.pub" in done.stderr
    (tmp_path / "unsigned").mkdir()
    words = _prepare({"words": ["ENGINE", "PLACE/a.png"]}, sound, keys, tmp_path / "unsigned")
    done = run("infer", *words, "--out", tmp_path / "cpp")
    assert (done.returncode, done.stderr) == (0, f"{words[0]}: is not signed, so nobody vouches for who made it\n")
    with edge.load_engine(words[0]) as engine:
        assert engine.vouched + "\n" == done.stderr
    forced = run("infer", *words, "--out", tmp_path / "cpp", "--trusted-key", keys / "mine.pub", "--allow-unsigned")
    assert forced.returncode == 0
