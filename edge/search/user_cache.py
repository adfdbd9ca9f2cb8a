"""The user's cache folder: what may be kept from run to run, and deleted at any time.

Nothing here is ever needed. What cannot be read is as good as not there, and a folder that cannot be written keeps
nothing: neither is a fault that a user should hear of.
"""

from __future__ import annotations

import os
from pathlib import Path

from edge.files import write_json

MOST_FILES = 256
"""Of one kind; the oldest go first."""


def user_cache(kind: str) -> Path:
    """Folder of one kind of kept things: ``segedge/KIND`` in the XDG cache folder, ``~/.cache`` where none is set."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(given) if os.path.isabs(given) else Path(os.path.expanduser("~")) / ".cache"
    return root / "segedge" / kind


def keep_json(folder: Path, name: str, value: object) -> None:
    """Write ``name`` into a cache folder, and let the oldest files of it go; where that fails, keep nothing.

    Args:
        folder: from :func:`user_cache`.
        name: of the file.
        value: JSON.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(folder / name, value)
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in files[MOST_FILES:]:
            old.unlink(missing_ok=True)
    except Exception:  # a full disk, another user's folder: the run itself goes on
        return
