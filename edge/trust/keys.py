"""Ed25519 keys as files: a private one that only its owner may read, a public one to hand out.

Whoever puts public keys into ``~/.config/segedge/trusted_keys`` has told this machine to take nothing unsigned.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError, MachineError
from edge.files import write_bytes
from edge.safety.guard import parsing, read_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TRUSTED_FOLDER = Path(".config") / "segedge" / "trusted_keys"
"""Below the home folder: ``*.pub`` in it are the configured keys."""
_LARGEST_KEY = 16 << 10
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END PUBLIC KEY-----\s*")
_ED25519 = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""


def new_key(path: Path) -> Path:
    """Make a key pair: ``path``, readable by its owner only, and ``path.pub``.

    Returns:
        The public key's file.

    Raises:
        InputError: one of the files is there already; keys are never replaced.
        MachineError: the cryptography package is missing, or the disk is full.
    """
    serialization, ed25519 = _library()
    public = path.with_name(path.name + ".pub")
    for file in (path, public):
        if os.path.lexists(file):
            raise InputError(f"{file}: is there already, and keys are never replaced; choose another name")
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(private)
    write_bytes(
        public,
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )
    return public


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key to sign with.

    Raises:
        InputError: not an Ed25519 key, or one that others may read.
        MachineError: the cryptography package is missing.
    """
    serialization, ed25519 = _library()
    data = read_bytes(path, "key", _LARGEST_KEY)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputError(f"{path}: others than its owner may read this key; run chmod 600 {path}, or make a new one")
    unknown = _unsupported()
    with parsing(path, "a private Ed25519 key", "give the file that edge sign --new-key wrote", unknown):
        key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InputError(f"{path}: is no Ed25519 key; give the file that edge sign --new-key wrote")
    return key


def read_public_key(path: Path) -> bytes:
    """The 32 bytes of a key to check with; needs no package.

    Raises:
        InputError: not a public Ed25519 key.
    """
    found = _PUBLIC.fullmatch(read_bytes(path, "key", _LARGEST_KEY))
    with parsing(path, "a public Ed25519 key", "give the .pub file of who signed"):
        data = base64.b64decode(found[1]) if found else b""
    if not data.startswith(_ED25519) or len(data) != len(_ED25519) + 32:
        raise InputError(f"{path}: is no public Ed25519 key; give the .pub file of who signed")
    return data[len(_ED25519) :]


def trusted_keys(given: Sequence[Path]) -> tuple[Path, ...]:
    """The keys named, and those configured for this user.

    Raises:
        InputError: the folder of keys holds things, and no key: whoever put them there means to trust something.
        OSError: it may not be looked into.
    """
    folder = Path.home() / TRUSTED_FOLDER
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        names = []
    except NotADirectoryError:
        names = [folder.name]
    configured = [folder / name for name in names if name.endswith(".pub")]
    if names and not configured:
        raise InputError(f"{folder}: holds no file that ends in .pub, so no key; name keys so, or remove the folder")
    return (*given, *configured)


def _unsupported() -> type[Exception]:
    """What the library raises over a key of a kind that it does not know."""
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MachineError("signatures need a package that is not installed; pip install 'segedge[sign]'") from None
    return serialization, ed25519
