"""Rows 1 to 5 (high) of the nineteen kinds of fault that an attack found: tests that fail without the mend.

``mutations.toml`` takes each mend out.
In depth the kinds are tried in ``tests/runtime``, ``tests/device`` and ``tests/bundle``.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge
from edge.errors import InputError, MachineError
from edge.storage.binding import BLANK, bind
from tests.fixtures.command import edge as run_edge
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.runtime_kit import infer


def _rebound(engine: Path, old: str, new: str) -> None:
    """Edit ``engine.json`` and bind it anew, as whoever edits it on purpose would."""
    text = (engine / "engine.json").read_text()
    assert text.count(old) == 1
    head, _, tail = text.replace(old, new).partition('"binding": "')
    (engine / "engine.json").write_bytes(bind((head + '"binding": "' + BLANK + tail[64:]).encode()))


@pytest.mark.slow
def test_row_1_a_mask_never_replaces_its_image(tool: Path, engine: Path, picture: Path) -> None:
    before = picture.read_bytes()
    done = infer(tool, engine, picture, "--out", picture.parent)
    assert (done.returncode, picture.read_bytes()) == (2, before)
    with pytest.raises(InputError, match="its mask would replace an input image"):
        edge.segment(engine, picture, out=picture.parent)
    assert picture.read_bytes() == before


@pytest.mark.parametrize("said", ["basic_ios::clear: iostream error", "std::bad_alloc"])
def test_row_2_a_full_disk_or_memory_in_a_compiler_is_no_verdict(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    def full(*_: object, **__: object) -> None:
        raise RuntimeError(f"Exception from src/core/src/pass/serialize.cpp:1:\n{said}")

    monkeypatch.setattr(openvino, "save_model", full)
    write_discs(tmp_path / "discs", {"train": 2, "val": 1, "test": 1})
    path = disc_network().save(tmp_path / "discs.onnx")
    with pytest.raises(MachineError):
        edge.build(path, tmp_path / "discs", target="cpu", precision="fp32", out=tmp_path / "e", progress=None)


_EDITS = (
    ('"threshold": 0.5', '"threshold": 0.9', False, 2, "was changed since it was built"),
    ('"model.xml":', '"x.xml":', True, 2, "no hash for its artefact 'model.xml'"),
    ('"artefact": "model.xml"', '"artefact": "../d/model.xml"', True, 2, "no hash for its artefact '../d/model.xml'"),
    ('"runs_on": {}', '"runs_on": {"architecture": "pdp11"}', True, 3, "was built for pdp11"),
    ('"versions": {}', '"versions": {"openvino": "2019.1.0"}', True, 3, "was built and proven with openvino 2019.1.0"),
)
"""From, to, whether bound anew, exit code and words of the refusal."""


@pytest.mark.parametrize(("old", "new", "again", "code", "said"), _EDITS, ids=[edit[1] for edit in _EDITS])
@pytest.mark.slow
def test_row_3_whatever_changes_a_mask_is_bound(
    old: str, new: str, again: bool, code: int, said: str, tool: Path, engine: Path, picture: Path
) -> None:
    if again:
        _rebound(engine, old, new)
    else:
        sound = (engine / "engine.json").read_text()
        assert sound.count(old) == 1
        (engine / "engine.json").write_text(sound.replace(old, new))
    words, out = (engine, picture, "--out"), picture.parent / "out"
    for done in (run_edge("segment", *words, out), infer(tool, *words, out)):
        assert done.returncode == code and said in done.stderr, done.stderr
        assert not out.exists()


@pytest.mark.parametrize("form", ["EPS", "WEBP", "ICO", "TGA", "GIF", "PPM"])
def test_row_4_a_picture_starts_no_program_and_no_other_decoder(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.images.pictures import read_image

    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path, form)
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    monkeypatch.setattr(os, "posix_spawn", lambda *words, **_: started.append(words))
    with pytest.raises(InputError, match="does not decode as an image"):
        read_image(path)
    assert started == []


def test_row_5_a_forged_or_foreign_proof_counts_for_nothing(tmp_path: Path) -> None:
    from edge.device.seal import Seal

    mine, path = Seal(tmp_path / "work", home=tmp_path / "home"), tmp_path / "work" / "int8.json"
    proof = {"dice": 0.9999, "ms": 0.0001, "passed": True}
    mine.write(path, proof)
    assert mine.read(path) == proof
    assert Seal(tmp_path / "work", home=tmp_path / "elsewhere").read(path) is None, "another machine's"
    path.write_text(json.dumps(proof))
    assert mine.read(path) is None, "nobody's"
