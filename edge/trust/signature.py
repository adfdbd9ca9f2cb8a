"""Signatures over what this package makes: detached, one JSON file beside or inside the thing.

============  =========================================  ======================
thing         what is signed                             signature
============  =========================================  ======================
engine        ``engine.json``, which binds its artefacts ``ENGINE/engine.sig``
run           every file of the folder                   ``RUN/run.sig``, and one in each engine
bundle        ``manifest.json``, which lists the rest    ``BUNDLE.sig``, beside it
============  =========================================  ======================

It is Ed25519 over ``{"files": {name: sha256}, "schema": ..., "subject": ...}``: JSON, keys sorted, no spaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_document, sha256_bytes, sha256_file, write_json
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
        InputError: neither an engine, nor a run, nor a bundle; or damaged.
    """
    from edge.backends.engine import MANIFEST as ENGINE
    from edge.backends.engine import read_engine
    from edge.bundle.archive import is_archive, peek
    from edge.device.manifest import MANIFEST, check_folder
    from edge.report.store import REPORT, read_report

    if (place / ENGINE).is_file():
        read_engine(place)
        return Subject("engine", place, place / "engine.sig", {ENGINE: sha256_file(place / ENGINE)})
    if (place / REPORT).is_file():
        read_report(place)
        return Subject("run", place, place / "run.sig", _listing(place, "run.sig"))
    beside = Path(f"{place}.sig")
    if (place / MANIFEST).is_file():
        return Subject("bundle", place, beside, {MANIFEST: check_folder(place).sha256})
    if place.is_file() and is_archive(place):
        return Subject("bundle", place, beside, {MANIFEST: peek(place).sha256})
    raise InputError(f"{place}: is neither an engine, a run nor a bundle; sign what edge build, deploy or bundle wrote")


def sign(place: Path, key: Path) -> Path:
    """Write the signature of an engine, a run or a bundle; a run's engines are signed too, each to be used alone.

    Raises:
        InputError: not one of these, or not a private key of one's own.
    """
    what, private = subject(place), read_private_key(key)
    if what.kind == "run":
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
    return str(trusted)


def vouched(place: Path, given: Sequence[Path]) -> str:
    """Who vouches for an engine or bundle, in one sentence; refused where a key is trusted here and none of them does.

    Args:
        place: about to be used.
        given: public keys; with those of :data:`edge.trust.keys.TRUSTED_FOLDER`.

    Raises:
        InputError: as :func:`require_trusted`, once there is a key.
    """
    keys = trusted_keys(given)
    if keys:
        return f"{place}: is signed by {require_trusted(place, keys)}"
    key = signer(place)
    if key is None:
        return f"{place}: is not signed, so nobody vouches for who made it"
    return f"{place}: is signed by key {key[:16]}..., which nothing here checks; give --trusted-key FILE.pub"


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


def _listing(folder: Path, signature: str) -> dict[str, str]:
    """Every file of a run. A link is covered by where it leads, which could be changed unseen in no other way."""
    files = {}
    for root, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                files[relative] = sha256_bytes(b"link to " + os.fsencode(os.readlink(path)))
            elif path.is_file() and relative != signature:
                files[relative] = sha256_file(path)
    return files
