"""Signatures over what this package makes: detached, one JSON file beside or inside the thing.

============  =========================================  ======================
thing         what is signed                             signature
============  =========================================  ======================
engine        ``engine.json``, which binds its artefacts ``ENGINE/engine.sig``
run           every file of the folder, links refused    ``RUN/run.sig``, and one in each engine
bundle        ``manifest.json``, which lists the rest    ``BUNDLE.sig``, beside it
============  =========================================  ======================

It is Ed25519 over ``{"files": {name: sha256}, "schema": ..., "subject": ...}``: JSON, keys sorted, no spaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_document, sha256_file, write_json
from edge.safety.guard import require_regular
from edge.trust.ed25519 import verify
from edge.trust.keys import read_private_key, read_public_key, trusted_keys

SCHEMA = "edge.signature/1"
_REMEDY = "sign it again"


@dataclass(frozen=True)
class Subject:
    """Something that can be signed.

    Attributes:
        kind: engine, run or bundle.
        place: the folder or archive.
        signature: where its signature lies.
        files: name to SHA-256 of what the signature covers.
    """

    kind: str
    place: Path
    signature: Path
    files: dict[str, str]

    def message(self) -> bytes:
        """The bytes that are signed."""
        table = {"schema": SCHEMA, "subject": self.kind, "files": self.files}
        return json.dumps(table, sort_keys=True, separators=(",", ":")).encode()


def subject(place: Path) -> Subject:
    """What a folder or archive is, and what a signature of it covers.

    Raises:
        InputError: missing; neither an engine, nor a run, nor a bundle; two of them at once, of which a signature would
            cover one and vouch for the other; or damaged.
    """
    if not os.path.lexists(place):
        raise InputError(f"{place}: no such file or folder; check the path")
    found = [kind for kind, (holds, _) in _SUBJECTS.items() if holds(place)]
    if not found:
        raise InputError(
            f"{place}: is neither an engine, a run nor a bundle; give what edge build, deploy or bundle wrote"
        )
    if len(found) > 1:
        raise InputError(f"{place}: is {' and '.join(found)} at once, which nothing here writes; do not use it")
    return _SUBJECTS[found[0]][1](place)


def _engine(place: Path) -> Subject:
    from edge.backends.engine import read_engine

    read_engine(place)
    return Subject("engine", place, place / "engine.sig", {_ENGINE: sha256_file(place / _ENGINE)})


def _run(place: Path) -> Subject:
    from edge.report.store import read_report

    read_report(place)
    return Subject("run", place, place / "run.sig", _listing(place, "run.sig"))


def _bundle(place: Path) -> Subject:
    from edge.bundle.archive import is_archive, peek
    from edge.device.manifest import check_folder

    place = place if place.name not in ("", "..") else Path(os.path.abspath(place))  # its signature lies beside it
    manifest = peek(place) if is_archive(place) else check_folder(place)
    return Subject("bundle", place, Path(f"{place}.sig"), {_MANIFEST: manifest.sha256})


_ENGINE, _REPORT, _MANIFEST = "engine.json", "report.json", "manifest.json"
_SUBJECTS: Mapping[str, tuple[Callable[[Path], bool], Callable[[Path], Subject]]] = {
    "engine": (lambda place: (place / _ENGINE).is_file(), _engine),
    "run": (lambda place: (place / _REPORT).is_file(), _run),
    "bundle": (lambda place: place.is_file() or (place / _MANIFEST).is_file(), _bundle),
}
"""Kind to how it is known, and what a signature of it covers."""


def sign(place: Path, key: Path) -> Path:
    """Write the signature of an engine, a run or a bundle; a run's engines are signed too, each to be used alone.

    Raises:
        InputError: not one of these, or not a private key of one's own.
    """
    what, private = subject(place), read_private_key(key)
    if what.kind == "run":
        _require_own_files(place)
        for manifest in sorted(place.glob("engines/*/engine.json")):
            sign(manifest.parent, key)
        what = subject(place)
    table = {
        "schema": SCHEMA,
        "subject": what.kind,
        "files": what.files,
        "key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(what.message()).hex(),
    }
    write_json(what.signature, table)
    return what.signature


def require_trusted(place: Path, keys: Sequence[Path]) -> str:
    """Refuse what none of these keys has signed as it is now.

    Args:
        place: an engine, a run or a bundle.
        keys: public keys.

    Returns:
        The file of the key that did.

    Raises:
        InputError: not signed, signed by another key, or changed since.
    """
    return _trusted(place, keys)[0]


def _trusted(place: Path, keys: Sequence[Path]) -> tuple[str, Subject]:
    """As :func:`require_trusted`, with what was signed."""
    known = {read_public_key(path).hex(): path for path in keys}
    what = subject(place)
    if not what.signature.is_file():
        raise InputError(f"{place}: is not signed (no {what.signature.name}); take it from whoever signs, or sign it")
    table = _signature(what.signature)
    trusted = known.get(table["key"])
    if trusted is None:
        raise InputError(f"{place}: is signed by key {table['key'][:16]}..., which is not trusted here; do not use it")
    if not verify(bytes.fromhex(table["key"]), what.message(), bytes.fromhex(table["signature"])):
        raise InputError(f"{place}: was changed since it was signed, or its signature is forged; do not use it")
    return str(trusted), what


@dataclass(frozen=True)
class Voucher:
    """Who vouches for a thing.

    Attributes:
        says: it in one sentence.
        files: name to SHA-256 of what a trusted key has signed; empty where none is trusted here.
    """

    says: str
    files: Mapping[str, str]


def vouched(place: Path, given: Sequence[Path]) -> Voucher:
    """Who vouches for an engine, run or bundle; refused where a key is trusted here and none of them does.

    Args:
        place: about to be used.
        given: public keys; with those of :data:`edge.trust.keys.TRUSTED_FOLDER`.

    Raises:
        InputError: as :func:`require_trusted`, once there is a key.
    """
    keys = trusted_keys(given)
    if keys:
        key, what = _trusted(place, keys)
        return Voucher(f"{place}: is signed by {key}", what.files)
    said = signer(place)
    if said is None:
        return Voucher(f"{place}: is not signed, so nobody vouches for who made it", {})
    return Voucher(
        f"{place}: is signed by key {said[:16]}..., which nothing here checks; give --trusted-key FILE.pub", {}
    )


def signer(place: Path) -> str | None:
    """The public key that a thing says it is signed with, hex; None where it is not signed. Nothing is checked."""
    candidates = (place / "engine.sig", place / "run.sig", Path(f"{place}.sig"))
    found = next((path for path in candidates if path.is_file()), None)
    return None if found is None else str(_signature(found)["key"])


def _signature(path: Path) -> dict[str, Any]:
    table = read_document(path, SCHEMA, _REMEDY)
    try:
        if len(bytes.fromhex(table["key"])) == 32 and len(bytes.fromhex(table["signature"])) == 64:
            return table
    except (KeyError, TypeError, ValueError):
        pass
    raise InputError(f"{path}: is no signature; {_REMEDY}")


def _require_own_files(folder: Path) -> None:
    """Refuse a run with links: what they lead to could be changed, and the signature still hold. Pipes likewise.

    Raises:
        InputError: names the first.
    """
    for path in _entries(folder):
        if path.is_symlink():
            raise InputError(f"{path}: is a link, and a signature covers files; put what it leads to in its place")
        if not path.is_dir():
            require_regular(path)


def _listing(folder: Path, signature: str) -> dict[str, str]:
    """Every file of a run. A link is no hash, and no signature covers it (:func:`sign` refuses it)."""
    files = {}
    for path in _entries(folder):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink():
            files[relative] = "a link"
        elif path.is_file() and relative != signature:
            files[relative] = sha256_file(path)
    return files


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in a folder and in those inside it; links are not followed."""
    for root, folders, names in os.walk(folder):
        yield from (Path(root, name) for name in sorted((*names, *folders)))
