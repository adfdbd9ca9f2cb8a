"""``manifest.json``: what a bundle holds and where it may run, and the check that a folder holds exactly that.

``manifest.sha256`` is the hash of ``manifest.json``, which has the size and hash of all else. Nothing in a bundle
is parsed, let alone deserialized, before its hash was compared. Hashes guard against damage, not against someone who
makes a whole new bundle: take bundles from people you trust.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from ..backends.compiler import BoardCandidate
from ..errors import InputError, MachineError
from ..files import sha256_bytes, sha256_file
from ..safety.guard import parse_json
from ..safety.limits import exceeded, limits

SCHEMA = "edge.bundle/1"
MANIFEST, DIGEST = "manifest.json", "manifest.sha256"
PACKAGE = "edge_bundle"
"""What the package of :mod:`edge.bundle.portable` is called on a board."""

LARGEST_MANIFEST = 4 << 20
RESULTS = ("run", "work", "build")
"""Folders that ``verify`` and CMake make inside an unpacked bundle; everything else must be listed."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*){0,7}")
_LONGEST_NAME = 100
_HEX = re.compile(r"[0-9a-f]{64}")
_KINDS = (
    ("target", "name", str),
    ("runs_on", "kind", str),
    ("runs_on", "architecture", str),
    ("data", "images", int),
)
_TABLES = ("target", "runs_on", "model", "task", "gate", "data", "reference", "versions")


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says. Tables are as the workstation wrote them.

    Attributes:
        sha256: of the manifest itself; the name of this bundle in caches and reports.
        title: what it is, for people.
        target, model, task, gate, data, reference, versions: plain tables.
        runs_on: ``kind`` (jetson, cpu or gpu) and what preflight compares.
        candidates: graphs to build.
        files: path to (size in bytes, hex SHA-256).
    """

    sha256: str
    title: str
    backend: str
    target: Mapping[str, Any]
    runs_on: Mapping[str, Any]
    model: Mapping[str, Any]
    task: Mapping[str, Any]
    gate: Mapping[str, Any]
    data: Mapping[str, Any]
    reference: Mapping[str, Any]
    versions: Mapping[str, str]
    candidates: tuple[BoardCandidate, ...]
    files: Mapping[str, tuple[int, str]]

    @property
    def bytes(self) -> int:
        """Size of all listed files."""
        return sum(size for size, _ in self.files.values())


def require_safe_name(name: str) -> None:
    """Refuse anything but plain relative paths of plain characters.

    Raises:
        InputError: names the path.
    """
    shown = repr(name[:80])
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise InputError(f"path {shown} climbs out of the bundle; do not use it, and ask its sender")
    if len(name) > _LONGEST_NAME or not _SAFE_NAME.fullmatch(name):
        raise InputError(f"path {shown} is not a plain relative path; make the bundle again")
    if name.split("/", 1)[0] in RESULTS:
        raise InputError(f"path {shown} lies where results go; make the bundle again")


def digest_line(manifest: bytes) -> bytes:
    """Contents of ``manifest.sha256``, in the form that ``sha256sum -c`` reads."""
    return f"{sha256_bytes(manifest)}  {MANIFEST}\n".encode()


def parse_manifest(manifest: bytes, digest: bytes) -> Manifest:
    """Check a manifest's hash, then its form.

    Raises:
        InputError: changed, not of our schema, of a newer one, or incomplete.
    """
    if digest != digest_line(manifest):
        raise InputError(f"{MANIFEST}: differs from its hash; copy the bundle again")
    table = parse_json(manifest, MANIFEST, "copy the bundle again")
    if not isinstance(table, dict):
        raise InputError(f"{MANIFEST}: is not a table; make the bundle again")
    _require_schema(table.get("schema"))
    try:
        return _build(table, sha256_bytes(manifest))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{MANIFEST}: is incomplete ({error!r:.80}); make the bundle again") from None


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an unpacked bundle.

    Raises:
        InputError: as :func:`parse_manifest`, or this is not a bundle.
    """
    data = []
    for name, limit in ((MANIFEST, LARGEST_MANIFEST), (DIGEST, 1024)):
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise InputError(f"{folder}: is not an unpacked bundle (no {name}); unpack one here")
        size = path.stat().st_size
        if size > limit:
            raise InputError(f"{path}: is far too large; copy the bundle again")
        if size > limits().document_bytes:
            raise exceeded(path, f"has {size} bytes", "document_bytes")
        data.append(path.read_bytes())
    return parse_manifest(data[0], data[1])


def check_folder(folder: Path) -> Manifest:
    """Compare every file of an unpacked bundle with its manifest, before anything is deserialized.

    Raises:
        InputError: a file is missing, was changed, is not listed, or is no plain file.
        MachineError: a file that this user may not read.
    """
    manifest = read_manifest(folder)
    found = _files(folder)
    extra = sorted(set(found) - set(manifest.files) - {MANIFEST, DIGEST})
    if extra:
        raise InputError(f"{extra[0]}: is not part of the bundle; remove it or unpack again")
    for name, (size, digest) in sorted(manifest.files.items()):
        if name not in found:
            raise InputError(f"{name}: is missing; unpack the bundle again")
        try:
            same = found[name] == size and sha256_file(folder / name) == digest
        except OSError as error:
            raise MachineError(f"{name}: cannot be read ({error.strerror}); check permissions") from None
        if not same:
            raise InputError(f"{name}: was changed since the bundle was made; unpack it again")
    return manifest


def _files(folder: Path) -> dict[str, int]:
    sizes = {}
    for root, folders, names in os.walk(str(folder)):
        here = Path(root)
        for name in list(folders):
            relative = (here / name).relative_to(folder).as_posix()
            if relative in RESULTS or (name == "__pycache__" and relative.startswith(PACKAGE + "/")):
                folders.remove(name)
            elif (here / name).is_symlink():
                raise InputError(f"{relative}: is a link; unpack the bundle again")
        for name in names:
            status = (here / name).lstat()
            relative = (here / name).relative_to(folder).as_posix()
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{relative}: is not a plain file; unpack the bundle again")
            sizes[relative] = status.st_size
    return sizes


def _require_schema(schema: Any) -> None:
    if schema == SCHEMA:
        return
    kind, _, version = str(schema).partition("/")
    if kind == SCHEMA.partition("/")[0] and version.isdigit() and int(version) > int(SCHEMA.partition("/")[2]):
        raise InputError(f"{MANIFEST}: schema {schema!s:.40} is newer than this SegEdge; upgrade it")
    raise InputError(f"{MANIFEST}: schema {schema!r:.40} is not {SCHEMA}; make the bundle again")


def _build(table: Mapping[str, Any], sha256: str) -> Manifest:
    files = {}
    for name, entry in table["files"].items():
        require_safe_name(name)
        size, digest = entry["bytes"], entry["sha256"]
        if type(size) is not int or size < 0 or not isinstance(digest, str) or not _HEX.fullmatch(digest):
            raise ValueError(f"size or hash of {name:.60}")
        files[name] = (size, digest)
    for key in _TABLES:
        if not isinstance(table[key], dict):
            raise TypeError(f"{key} is not a table")
    for section, key, kind in _KINDS:
        if not isinstance(table[section][key], kind) or isinstance(table[section][key], bool):
            raise TypeError(f"{section}.{key} is of the wrong kind")
    candidates = tuple(_candidate(row, files) for row in table["candidates"])
    if not any(c.candidate for c in candidates):
        raise ValueError("no candidates")
    if len({c.name for c in candidates}) != len(candidates):
        raise ValueError("two candidates of one name")
    return Manifest(
        sha256=sha256,
        title=str(table["title"]),
        backend=str(table["backend"]),
        candidates=candidates,
        files=files,
        **{key: table[key] for key in _TABLES},
    )


def _candidate(row: Mapping[str, Any], files: Mapping[str, Any]) -> BoardCandidate:
    candidate = BoardCandidate(**row)
    for key in ("name", "precision", "rest", "graph", "graph_sha256", "parity"):
        if not isinstance(getattr(candidate, key), str):
            raise TypeError(f"candidate's {key}")
    if not isinstance(candidate.reasons, dict) or candidate.rest not in ("fp32", "bf16", "fp16"):
        raise ValueError(f"candidate {candidate.name:.60}")
    require_safe_name(candidate.name)
    if "/" in candidate.name or candidate.graph not in files or candidate.parity not in files:
        raise ValueError(f"candidate {candidate.name:.60}")
    return candidate
