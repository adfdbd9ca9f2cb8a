import gzip
import hashlib
import random
import subprocess
import tarfile

import pytest

from edge.bundle.archive import unpack, write_archive
from edge.errors import EdgeError, InputError
from tests.fixtures.forge import FILES, archive, as_tar, body, head, manifest, member, seal


@pytest.fixture
def refused(tmp_path):
    """Unpack bytes, expect a refusal, and make sure that nothing was left behind."""

    def check(data):
        path = tmp_path / "b.tar.gz"
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            unpack(path, tmp_path / "out")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tar.gz"]
        message = str(caught.value)
        assert "\n" not in message and len(message) < 300
        return message

    return check


def test_written_archives_are_deterministic_and_any_tar_unpacks_them(tmp_path):
    text = manifest()
    first = write_archive(tmp_path / "a.tar.gz", text, dict(reversed(FILES.items())))
    second = write_archive(tmp_path / "b.tar.gz", text, FILES)
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()) == gzip.decompress(archive(head(text), body()))
    with as_tar(first.read_bytes()) as tar:
        members = tar.getmembers()
        assert [m.name for m in members[:2]] == ["manifest.sha256", "manifest.json"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-xzf", first, "-C", tmp_path / "gnu"], check=True)
    subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=tmp_path / "gnu", check=True, capture_output=True)
    assert gzip.decompress(first.read_bytes())[:15] == b"manifest.sha256"


def test_unpacks_what_was_packed(tmp_path):
    path = write_archive(tmp_path / "a.tar.gz", manifest(), FILES)
    found = unpack(path, tmp_path / "out")
    assert found.title == "tiny for cpu" and found.candidates[0].name == "int8"
    assert {n: (tmp_path / "out" / n).read_bytes() for n in FILES} == FILES
    unpack(path, tmp_path / "out")  # again over itself
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        unpack(path, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


def test_no_single_byte_mutation_verifies_and_none_crashes(tmp_path):
    data = write_archive(tmp_path / "a.tar.gz", manifest(), FILES).read_bytes()
    generator = random.Random(0)
    path = tmp_path / "b.tar.gz"
    for index in range(500):
        position = index if index < 60 else generator.randrange(len(data))  # every header byte, then anywhere
        mutant = bytearray(data)
        mutant[position] ^= generator.randrange(1, 256)
        path.write_bytes(mutant)
        with pytest.raises(EdgeError):
            unpack(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_no_mutation_inside_a_resealed_archive_verifies(tmp_path):
    """Someone who can compute the outer hash still meets the inner ones."""
    tar = head(manifest()) + body() + bytes(1024)
    generator = random.Random(1)
    path = tmp_path / "b.tar.gz"
    for _ in range(300):
        mutant = bytearray(tar)
        mutant[generator.randrange(len(tar))] ^= generator.randrange(1, 256)
        path.write_bytes(seal(bytes(mutant)))
        with pytest.raises(EdgeError):
            unpack(path, tmp_path / "out")


@pytest.mark.parametrize("cut", [0, 5, 47, 48, 200, -1])
def test_truncated(refused, cut):
    data = archive(head(manifest()), body())
    assert "b.tar.gz" in refused(data[:cut])


def test_appended_and_foreign(refused):
    data = archive(head(manifest()), body())
    assert "hash differs" in refused(data + b"\0")
    assert "not a SegEdge bundle" in refused(gzip.compress(b"hello"))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "edge_bundle/.."])
def test_paths_that_climb_out(refused, name):
    assert "climbs out" in refused(archive(head(manifest()), member(name, b"x")))
    text = manifest(files={name: b"x", **FILES})
    assert "climbs out" in refused(archive(head(text), body({name: b"x", **FILES})))


@pytest.mark.parametrize(
    "name", [".hidden", "a//b", "a/./b", "run/report.json", "work/x", "sp ace", "caf\u00e9", "a" * 101]
)
def test_names_that_are_not_plain(refused, name):
    text = manifest(files={name: b"x", **FILES})
    assert "path" in refused(archive(head(text), body(FILES)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device file"),
        (tarfile.BLKTYPE, "device file"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
        (b"S", "unusual header"),
        (b"x", "unusual header"),
    ],
)
def test_anything_but_plain_files(refused, kind, words):
    assert words in refused(archive(head(manifest()), member("README.md", kind=kind, link="/etc/passwd")))


def test_duplicates_extras_missing(refused):
    text = manifest()
    one = dict(sorted(FILES.items())[:1])
    assert "README.md: is in it twice" in refused(archive(head(text), body(one), body(FILES)))
    assert "README.md: is in it twice" in refused(archive(head(text), body(FILES), body(one)))
    assert "spare: is in it but not in its manifest" in refused(archive(head(text), body(FILES), member("spare", b"")))
    missing = {n: d for n, d in FILES.items() if n != "candidates/int8/parity.npz"}
    assert "candidates/int8/parity.npz: is missing" in refused(archive(head(text), body(missing)))
    last = {n: d for n, d in FILES.items() if n != "edge_bundle/__init__.py"}
    assert "edge_bundle/__init__.py: is missing" in refused(archive(head(text), body(last)))
    assert "manifest.json: is in it twice" in refused(archive(head(text), member("manifest.json", text), body()))
    assert "does not begin with manifest" in refused(archive(body(FILES)))


def test_wrong_size_hash_padding_and_trailing_data(refused):
    text = manifest()
    longer = {**FILES, "README.md": b"three commandsX\n"}
    assert "another size" in refused(archive(head(text), body(longer)))
    other = {**FILES, "README.md": b"three_commands\n"}
    assert "differs from its hash" in refused(archive(head(text), body(other)))
    dirty = body(FILES).replace(b"three commands\n\0", b"three commands\n!")
    assert "padding" in refused(archive(head(text), dirty))
    assert "behind its end" in refused(seal(head(text) + body() + bytes(512) + b"x" * 512))
    assert "holds more" in refused(seal(head(text) + body() + bytes(2048)))
    assert "ends too early" in refused(seal(head(text) + body() + bytes(512)))


def test_manifests(refused):
    assert "schema edge.bundle/2 is newer than this SegEdge; upgrade it" in refused(
        archive(head(manifest(schema="edge.bundle/2")), body())
    )
    assert "is not edge.bundle/1" in refused(archive(head(manifest(schema="other/1")), body()))
    text = manifest()
    forged = member("manifest.sha256", b"0" * 64 + b"  manifest.json\n") + member("manifest.json", text)
    assert "manifest.json: differs from its hash" in refused(archive(forged, body()))
    assert "not valid JSON" in refused(archive(head(b"[" * 100_000), body()))
    assert "is not a table" in refused(archive(head(b"[]"), body()))
    for key in ("candidates", "task", "gate"):
        assert "is incomplete" in refused(archive(head(manifest(**{key: None})), body()))
    row = {"bytes": -1, "sha256": "0" * 64}
    assert "is incomplete" in refused(archive(head(manifest(extra_files={"a": row})), body()))


def test_decompression_bombs(refused):
    zeros = 400 << 20
    digest = hashlib.sha256(b"").hexdigest()
    bomb = {"z.bin": {"bytes": zeros, "sha256": digest}}
    assert "times its size; that is no bundle" in refused(archive(head(manifest(extra_files=bomb)), body()))
    huge = {"z.bin": {"bytes": 1 << 50, "sha256": digest}}
    assert "GB" in refused(archive(head(manifest(extra_files=huge)), body()))
    # A member that claims more than its manifest: refused on its header, before a byte of it is inflated.
    assert "another size" in refused(archive(head(manifest()), member("README.md", b"", size=zeros)))
    assert "far too large" in refused(archive(member("manifest.sha256", bytes(4096))))
