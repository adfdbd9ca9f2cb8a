"""A board's lock: one deployment at a time, whoever's it is, since a second one would spoil the times of the first.

The lock is the kernel's (``flock``): it ends with the process that holds it, however that ends. What is written in the
file only says whose it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import tempfile
import time
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import MachineError

_TAKEOVER_S = 20.0
_LONGEST = 4096


def lock_file() -> Path:
    """One for all users of the board."""
    return Path(tempfile.gettempdir()) / "segedge-board.lock"


def claim(path: Path, session: str, owner: str) -> int:
    """Take the lock until this process, and whatever it forked, ends.

    A process of the same session that holds it still has lost its line: its group is ended, and its place taken.

    Args:
        path: the lock's file.
        session: secret name of a deployment.
        owner: who it is, for whoever comes second.

    Returns:
        The handle; keep it open.

    Raises:
        MachineError: another deployment is at work, or the file is no lock.
    """
    handle = _open(path)
    mine, end = sha256(session.encode()).hexdigest(), time.monotonic() + _TAKEOVER_S
    while not _locked(handle):
        holder = _holder(handle)
        if holder.get("session") != mine or time.monotonic() > end:
            whose, since = str(holder.get("owner", "someone"))[:80], str(holder.get("since", "now"))[:30]
            raise MachineError(f"this board is in use by {whose} since {since}; try again when that has ended")
        end_group(holder.get("pid"))
        time.sleep(0.1)
    row = {"session": mine, "owner": owner, "since": datetime.now().isoformat(" ", "seconds"), "pid": os.getpid()}
    with contextlib.suppress(OSError):  # another user's file: the lock holds all the same
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(row).encode(), 0)
    return handle


def _open(path: Path) -> int:
    try:
        return os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except PermissionError:  # another user made it
        return os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(f"{path}: cannot be locked ({error.strerror}); remove it") from None


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(handle: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(handle, _LONGEST, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def lead_group() -> None:
    """Make this process the leader of a group, as :func:`end_group` wants it."""
    with contextlib.suppress(OSError):  # it leads a session already
        os.setpgid(0, 0)


def end_group(leader: Any) -> None:
    """End a process with all that it started: some libraries fork helpers, which would hold the lock and the line."""
    if type(leader) is int and leader > 1:
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
