"""What this board wrote in this place, told from what anyone else put there.

Each table is written with a keyed hash (HMAC-SHA256). The key lies outside the bundle, in the user's own state folder;
what is hashed also holds this machine's identity and the place, so that a folder that was copied here, from another
board or from a forger, is as good as empty.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..files import recover_json, write_json
from ..machine.machine import ROOT, text

KEY_FILE = Path(".local/state/segedge/board.key")
"""Below the user's home folder."""

_KEY_BYTES = 32
_IDENTITY = ("etc/machine-id", "proc/device-tree/serial-number")


class Seal:
    """Writes and reads sealed tables below one folder.

    Args:
        place: the folder; part of what is hashed.
        root: where ``etc`` and ``proc`` lie.
        home: whose state folder holds the key; None for the user's. Without a home that can be written to, the key
            lasts as long as the process, and nothing of earlier runs is believed.
    """

    def __init__(self, place: Path, root: Path = ROOT, home: Path | None = None) -> None:
        self._place = place.resolve()
        self._identity = [text(root / name).strip("\0 \n") for name in _IDENTITY]
        self._key = _key(home)

    def write(self, path: Path, table: Any, at: Path | None = None) -> None:
        """Write a JSON file below the place, whole, with its seal.

        Args:
            path: the file.
            table: plain values.
            at: where it will be moved, if it will.
        """
        write_json(path, {"seal": self._tag(at or path, table), "table": table})

    def read(self, path: Path) -> Any:
        """The table of a file that this board wrote at this path; None for anything else."""
        found = recover_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("seal"), str):
            return None
        table = found.get("table")
        return table if hmac.compare_digest(found["seal"].encode(), self._tag(path, table).encode()) else None

    def _tag(self, path: Path, table: Any) -> str:
        sealed = [self._identity, str(self._place), os.path.relpath(str(path), str(self._place)), table]
        return hmac.new(self._key, json.dumps(sealed, sort_keys=True).encode(), sha256).hexdigest()


def _key(home: Path | None) -> bytes:
    """The user's key, made when first asked for."""
    key = secrets.token_bytes(_KEY_BYTES)
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        path = (home or Path.home()) / KEY_FILE
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(key)
        kept = path.read_bytes()
        if len(kept) == _KEY_BYTES:
            return kept
        path.unlink()  # cut short when it was made; the next run makes another
    return key
