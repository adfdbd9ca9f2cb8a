"""The archive: a ``.tar.gz`` that any tar unpacks, in which every byte counts.

Writing is deterministic: sorted names, no times, no owners, in a container that notices any change
(:mod:`edge.bundle.container`).

Reading trusts nothing. The whole is hashed before it is inflated; inside, only the one form that the writer makes is
accepted: plain files, the manifest first, then exactly what it lists, in order, at the size and hash it says. Nothing
is written under a name that was not checked, and never more bytes than the manifest promised.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge.bundle.container import CHUNK, Deflater, Inflater, require_unchanged
from edge.device.manifest import (
    DIGEST,
    LARGEST_MANIFEST,
    MANIFEST,
    Manifest,
    digest_line,
    parse_manifest,
    require_safe_name,
)
from edge.errors import InputError, MachineError
from edge.files import replaced_file, replaced_folder
from edge.safety.guard import require_regular

LARGEST_BUNDLE = 8 << 30
_MOST_FILES = 10_000
_FREE_RATIO = 256 << 20  # below this size no compression ratio is suspicious
_LARGEST_RATIO = 100  # weights and images shrink by 1 to 20
_BLOCK = 512

_KINDS: Mapping[bytes, str] = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device file",
    b"4": "a device file",
    b"5": "a folder",
    b"6": "a pipe",
}


def write_archive(path: Path, manifest: bytes, files: Mapping[str, bytes | Path]) -> Path:
    """Pack a manifest and the files it lists.

    Args:
        path: the archive to write, through a temporary sibling.
        manifest: ``manifest.json``.
        files: name inside the bundle to contents, or to the file to read them from.

    Raises:
        MachineError: the disk is full or the folder not writable.
    """
    first = {DIGEST: digest_line(manifest), MANIFEST: manifest}
    with replaced_file(path) as sibling, sibling.open("wb") as stream:
        sink = Deflater(stream)
        for name, contents in (*first.items(), *sorted(files.items())):
            require_safe_name(name)
            data = contents if isinstance(contents, bytes) else contents.read_bytes()
            sink.write(_member(name, len(data)) + data + _padding(len(data)))
        sink.write(bytes(2 * _BLOCK))
        sink.close()
    return path


def unpack(archive: Path, folder: Path) -> Manifest:
    """Check an archive and unpack it; the folder is swapped in whole, or nothing is left.

    Args:
        archive: the file.
        folder: made, or replaced where it holds another bundle.

    Raises:
        InputError: damaged, hostile, or not ours; the message says which.
        MachineError: not enough disk.
    """
    with _opened(archive) as source, replaced_folder(folder, MANIFEST) as fresh:
        return _unpack(source, archive.stat().st_size, fresh)


def peek(archive: Path) -> Manifest:
    """The manifest of an unchanged archive, without unpacking anything else.

    Raises:
        InputError: damaged, or not ours.
    """
    with _opened(archive) as source:
        digest = _whole(source, DIGEST, 1024)
        return parse_manifest(_whole(source, MANIFEST, LARGEST_MANIFEST), digest)


@contextmanager
def _opened(archive: Path) -> Iterator[Inflater]:
    """An archive whose outer hash was compared, ready to inflate; faults become :class:`InputError`."""
    require_regular(archive)
    try:
        with archive.open("rb") as stream:
            require_unchanged(stream)
            yield Inflater(stream)
    except FileNotFoundError:
        raise InputError(f"{archive}: no such file; check the path") from None
    except InputError as fault:
        raise InputError(f"{archive}: {fault}") from None


def is_archive(path: Path) -> bool:
    """Whether a path is to be read as an archive (anything that is no folder)."""
    return not path.is_dir()


# ------------------------------------------------------------------------------------------------ writing


def _member(name: str, size: int) -> bytes:
    """The one tar header that this file can have (POSIX ustar)."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


# ------------------------------------------------------------------------------------------------ reading


def _unpack(source: Inflater, archive_bytes: int, folder: Path) -> Manifest:
    digest = _whole(source, DIGEST, 1024)
    text = _whole(source, MANIFEST, LARGEST_MANIFEST)
    manifest = parse_manifest(text, digest)
    _require_room(manifest, archive_bytes, folder)
    for name, data in ((DIGEST, digest), (MANIFEST, text)):
        (folder / name).write_bytes(data)
    done: set[str] = {DIGEST, MANIFEST}
    expected = sorted(manifest.files)
    for wanted in expected:
        found, size = _next(source)
        _require_listed(found, wanted, done, manifest)
        if size != manifest.files[wanted][0]:
            raise InputError(f"{wanted}: has another size than its manifest says; copy it again")
        _copy(source, size, manifest.files[wanted][1], wanted, folder)
        done.add(wanted)
    found, _ = _next(source)
    if found is not None:
        _require_listed(found, None, done, manifest)
    if source.read(_BLOCK) != bytes(_BLOCK):
        raise InputError("has data behind its end; do not use it, and ask its sender")
    source.finish()
    return manifest


def _require_listed(name: str | None, wanted: str | None, done: set[str], manifest: Manifest) -> None:
    if name is None:
        raise InputError(f"{wanted}: is missing; copy the bundle again")
    if name in done:
        raise InputError(f"{name}: is in it twice; do not use it, and ask its sender")
    if name not in manifest.files:
        raise InputError(f"{name}: is in it but not in its manifest; do not use it, and ask its sender")
    if name != wanted:
        raise InputError(f"{wanted}: is missing or out of order; make the bundle again")


def _require_room(manifest: Manifest, archive_bytes: int, folder: Path) -> None:
    total = manifest.bytes
    if total > LARGEST_BUNDLE or len(manifest.files) > _MOST_FILES:
        raise InputError(f"would unpack to {total / 1e9:.1f} GB in {len(manifest.files)} files; that is no bundle")
    if total > _FREE_RATIO and total > _LARGEST_RATIO * archive_bytes:
        raise InputError(f"would unpack to {total / archive_bytes:.0f} times its size; that is no bundle")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise MachineError(f"{folder.parent}: {total / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free; free the disk")


def _whole(source: Inflater, wanted: str, limit: int) -> bytes:
    name, size = _next(source)
    if name != wanted:
        raise InputError(f"does not begin with {wanted}; make the bundle again")
    if size > limit:
        raise InputError(f"{wanted}: is far too large; that is no bundle")
    data = b"".join(source.read(min(CHUNK, size - start)) for start in range(0, size, CHUNK))
    _skip_padding(source, size, wanted)
    return data


def _copy(source: Inflater, size: int, wanted: str, name: str, folder: Path) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as stream:
        for start in range(0, size, CHUNK):
            data = source.read(min(CHUNK, size - start))
            digest.update(data)
            stream.write(data)
    if digest.hexdigest() != wanted:
        raise InputError(f"{name}: differs from its hash; copy the bundle again")
    _skip_padding(source, size, name)


def _skip_padding(source: Inflater, size: int, name: str) -> None:
    padding = _padding(size)
    if source.read(len(padding)) != padding:
        raise InputError(f"{name}: has data in its padding; do not use it, and ask its sender")


def _next(source: Inflater) -> tuple[str | None, int]:
    """Name and size of the next member, or (None, 0) at the end. Anything but a plain file is refused."""
    block = source.read(_BLOCK)
    if block == bytes(_BLOCK):
        return None, 0
    name = block[:100].rstrip(b"\0").decode("ascii", "backslashreplace")
    kind = block[156:157]
    if kind in _KINDS:
        raise InputError(f"{name!r} is {_KINDS[kind]}; a bundle holds plain files only, do not use it")
    require_safe_name(name)
    size_field = block[124:136].rstrip(b"\0 ")
    if not size_field or any(digit not in b"01234567" for digit in size_field):
        raise InputError(f"{name}: has no plain size; make the bundle again")
    size = int(size_field, 8)
    if block != _member(name, size):
        raise InputError(f"{name}: has an unusual header; make the bundle again")
    return name, size
