"""Signatures: what was signed is taken, what was changed, is unsigned or comes from another key is not."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.device.manifest import check_folder, digest_line
from edge.errors import InputError
from edge.trust import keys
from edge.trust.keys import new_key, trusted_keys
from edge.trust.signature import require_trusted, sign, signer
from tests.fixtures import forge
from tests.fixtures.command import edge as run_edge
from tests.fixtures.discs import TASK
from tests.fixtures.report_example import example
from tests.fixtures.runtime_kit import make_engine


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "mine.key"
    assert new_key(path).name == "mine.key.pub"
    return path


def _engine(folder: Path) -> Path:
    return make_engine(folder / "engine", TASK).folder


def _run(folder: Path) -> Path:
    (folder / "run" / "engines").mkdir(parents=True)
    (folder / "run" / "report.json").write_text(json.dumps(example().report.to_json()))
    (folder / "run" / "source.onnx").write_bytes(b"weights")
    return folder / "run"


def _bundle(folder: Path) -> Path:
    text = forge.manifest()
    (folder / "kit.tar.gz").write_bytes(forge.archive(forge.head(text), forge.body()))
    return folder / "kit.tar.gz"


@pytest.mark.parametrize("make", [_engine, _run, _bundle])
def test_only_what_was_signed_as_it_is_now_is_trusted(make, key: Path, tmp_path: Path) -> None:
    thing, public = make(tmp_path), key.with_name("mine.key.pub")
    with pytest.raises(InputError, match="is not signed"):
        require_trusted(thing, [public])
    assert signer(thing) is None
    signature = sign(thing, key)
    assert require_trusted(thing, [public]) == str(public) and len(signer(thing) or "") == 64

    other = new_key(tmp_path / "other.key")
    with pytest.raises(InputError, match="which is not trusted here"):
        require_trusted(thing, [other])
    table = json.loads(signature.read_text())
    for field, value in (("signature", "0" * 128), ("signature", "x"), ("key", 3), ("schema", "edge.signature/9")):
        signature.write_text(json.dumps({**table, field: value}))
        with pytest.raises(InputError, match=r"changed since it was signed|is no signature|is not of schema"):
            require_trusted(thing, [public])


def test_a_changed_added_or_missing_file_of_a_run_is_noticed(key: Path, tmp_path: Path) -> None:
    run, public = _run(tmp_path), key.with_name("mine.key.pub")
    sign(run, key)
    kept = tmp_path / "kept"
    shutil.copytree(run, kept)
    for change in (
        lambda: (run / "source.onnx").write_bytes(b"other"),
        lambda: (run / "more.txt").write_text("x"),
        lambda: (run / "source.onnx").unlink(),
        lambda: (run / "out").symlink_to("/etc"),
    ):
        change()
        with pytest.raises(InputError, match="was changed since it was signed"):
            require_trusted(run, [public])
        shutil.rmtree(run)
        shutil.copytree(kept, run)
    assert require_trusted(run, [public])


def test_a_signature_of_one_thing_is_none_of_another(key: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = _engine(tmp_path / "a"), make_engine(tmp_path / "b" / "engine", TASK, seed=1).folder
    shutil.copyfile(sign(first, key), second / "engine.sig")
    with pytest.raises(InputError, match="was changed since it was signed"):
        require_trusted(second, [key.with_name("mine.key.pub")])


def test_keys_are_their_owners_alone_and_never_replaced(key: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="keys are never replaced"):
        new_key(key)
    loose = tmp_path / "loose.key"
    shutil.copyfile(key, loose)
    loose.chmod(0o644)
    with pytest.raises(InputError, match=r"others than its owner may read this key; run chmod 600"):
        sign(_bundle(tmp_path), loose)
    with pytest.raises(InputError, match=r"is not a private Ed25519 key|is no Ed25519 key"):
        public = tmp_path / "public.key"
        shutil.copyfile(key.with_name("mine.key.pub"), public)
        public.chmod(0o600)
        sign(_bundle(tmp_path), public)
    with pytest.raises(InputError, match="neither an engine, a run nor a bundle"):
        sign(tmp_path, key)
    with pytest.raises(InputError, match=r"gone\.tar\.gz: no such file or folder; check the path"):
        sign(tmp_path / "gone.tar.gz", key)


def test_a_bundle_that_carries_a_signed_engine_is_not_signed_by_it(key: Path, tmp_path: Path) -> None:
    import edge

    bundle, public = tmp_path / "kit", key.with_name("mine.key.pub")
    engine = _engine(tmp_path)
    sign(engine, key)
    names = ("engine.json", "engine.sig", "model.xml", "model.bin")
    files = {**forge.FILES, **{name: (engine / name).read_bytes() for name in names}}
    text = forge.manifest(files)
    for name, data in {**files, "manifest.json": text, "manifest.sha256": digest_line(text)}.items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_bytes(data)
    assert set(check_folder(bundle).files) == set(files), "a sound bundle, but for whose it is"
    with pytest.raises(InputError, match="is engine and bundle at once"):
        edge.verify(bundle, out=tmp_path / "out", trusted_key=[public])
    done = run_edge("verify", bundle, "--out", tmp_path / "out", "--trusted-key", public)
    assert done.returncode == 2 and "is engine and bundle at once" in done.stderr


def test_a_bundle_is_the_one_whose_signature_was_checked(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge
    from edge.trust import signature

    bundle, public = _bundle(tmp_path), key.with_name("mine.key.pub")
    sign(bundle, key)
    other = forge.manifest(title="another's")
    vouched = signature.vouched

    def swapped(place: Path, given: Sequence[Path]) -> signature.Voucher:
        said = vouched(place, given)
        bundle.write_bytes(forge.archive(forge.head(other), forge.body()))
        return said

    monkeypatch.setattr(signature, "vouched", swapped)
    with pytest.raises(InputError, match="was changed while its signature was checked"):
        edge.verify(bundle, out=tmp_path / "out", trusted_key=[public])


def test_of_a_run_the_choice_is_signed_too(key: Path, tmp_path: Path) -> None:
    import edge

    run, public = _run(tmp_path), key.with_name("mine.key.pub")
    row = example().report.chosen_row
    shutil.copytree(_engine(tmp_path), run / row.path)
    sign(run, key)
    with edge.load_engine(run, trusted_key=[public]) as engine:
        assert engine.vouched.endswith(f"is signed by {public}")
    report = json.loads((run / "report.json").read_text())
    (run / "report.json").write_text(json.dumps({**report, "note": ""}))
    with pytest.raises(InputError, match=r"run: was changed since it was signed"):
        edge.load_engine(run, trusted_key=[public])


def test_a_run_with_a_link_or_a_pipe_is_not_signed(key: Path, tmp_path: Path) -> None:
    run = _run(tmp_path)
    (tmp_path / "other.onnx").write_bytes(b"weights")
    (run / "source.onnx").unlink()
    (run / "source.onnx").symlink_to(tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"source\.onnx: is a link, and a signature covers files"):
        sign(run, key)
    (run / "source.onnx").unlink()
    os.mkfifo(run / "source.onnx")
    with pytest.raises(InputError, match=r"source\.onnx: is a pipe; give a plain file"):
        sign(run, key)


def test_a_folder_of_keys_without_one_is_no_leave(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / keys.TRUSTED_FOLDER
    monkeypatch.setenv("HOME", str(tmp_path))
    folder.mkdir(parents=True)
    assert trusted_keys(()) == ()
    shutil.copyfile(key.with_name("mine.key.pub"), folder / "me.pem")
    with pytest.raises(InputError, match=r"trusted_keys: holds no file that ends in \.pub"):
        trusted_keys(())
    shutil.rmtree(folder)
    folder.write_text("a file")
    with pytest.raises(InputError, match=r"trusted_keys: holds no file that ends in \.pub"):
        trusted_keys(())


def test_once_a_key_is_configured_nothing_unsigned_is_verified(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge

    home = tmp_path / "home"
    (home / keys.TRUSTED_FOLDER).mkdir(parents=True)
    shutil.copyfile(key.with_name("mine.key.pub"), home / keys.TRUSTED_FOLDER / "me.pub")
    monkeypatch.setenv("HOME", str(home))
    bundle = _bundle(tmp_path)
    assert [path.name for path in trusted_keys(())] == ["me.pub"]
    with pytest.raises(InputError, match="is not signed"):
        edge.verify(bundle)
    sign(bundle, key)
    with pytest.raises(InputError) as caught:  # the forged bundle has no architecture; its signature was taken
        edge.verify(bundle, out=tmp_path / "out")
    assert "signed" not in str(caught.value)
