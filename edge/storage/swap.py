"""Swapping a finished file or folder into its place: the old one whole or the new one whole, whatever happens.

Portable: it travels to boards. What is under way lies beside its place under a name of its own, locked by the process
that writes it. A process that was killed leaves it behind unlocked; the next one to write there takes it away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
import uuid
from pathlib import Path
from typing import Callable, Iterator

if sys.platform != "win32":
    import fcntl

_EXCHANGE, _KEEP = 2, 1  # renameat2's flags RENAME_EXCHANGE and RENAME_NOREPLACE
_HERE = -100  # AT_FDCWD
_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
_TAIL = ".segedge"
_ATTEMPTS = 100


@contextlib.contextmanager
def draft(place: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Yield the name of something new beside ``place``, made by ``make``, and remove whatever is left of it after.

    Args:
        place: where it will go; leftovers of earlier processes for the same place are swept first.
        make: makes an empty file or folder of the name that it is given.
    """
    sweep(place)
    fresh, handle = place, None
    try:  # before it is made: a signal may come as soon as it is
        for _ in range(_ATTEMPTS):
            fresh = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{_TAIL}")
            make(fresh)
            handle = _locked(fresh)
            if handle is not None:
                break
        else:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))
        yield fresh
    finally:
        if fresh != place:
            _remove(fresh)
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes of ours from swapping anything in a folder meanwhile, where it can be locked."""
    handle = _locked(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def swap(fresh: Path, place: Path) -> None:
    """Put ``fresh``, which was flushed, at ``place``; what was there is at ``fresh`` afterwards, or gone.

    One atomic step where the file system has one. Elsewhere a folder takes two, and a kill between them leaves the old
    one beside its place, from where :func:`sweep` brings it back.
    """
    if fresh.is_dir():
        _swap_folder(fresh, place)
    else:
        os.replace(str(fresh), str(place))
    _flush_one(place.parent)


def sweep(place: Path) -> list[Path]:
    """Take away what killed processes left beside ``place``, and bring the old folder back where one was cut short.

    Nothing that a living process holds is touched, nor anything under a name that is not ours.

    Returns:
        What was taken away or brought back.
    """
    pattern = re.compile(re.escape(f".{place.name}.") + r"[0-9a-f]{8}" + re.escape(_TAIL) + r"(-old)?")
    swept = []
    with contextlib.suppress(OSError):
        left = [place.with_name(name) for name in os.listdir(str(place.parent)) if pattern.fullmatch(name)]
        for path in sorted(left, key=lambda path: not path.name.endswith("-old")):
            handle = _locked(path, wait=False)
            if handle is None:
                continue
            try:
                if path.name.endswith("-old") and not os.path.lexists(str(place)):
                    os.replace(str(path), str(place))
                else:
                    _remove(path)
                swept.append(path)
            finally:
                os.close(handle)
    return swept


def flush(path: Path) -> None:
    """Make a file, or a folder with everything in it, survive a power cut."""
    if path.is_dir():
        for root, _, names in os.walk(str(path)):
            for name in names:
                _flush_one(Path(root, name))
            _flush_one(Path(root))
    else:
        _flush_one(path)


def _swap_folder(fresh: Path, place: Path) -> None:
    for _ in range(_ATTEMPTS):  # another run may put its own there, or take it away, between any two steps
        try:
            if os.path.lexists(str(place)):
                if not _rename2(fresh, place, _EXCHANGE):
                    _swap_in_two(fresh, place)
            elif not _rename2(fresh, place, _KEEP):
                os.rename(str(fresh), str(place))
            return
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY) or not fresh.exists():
                raise
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))


def _swap_in_two(fresh: Path, place: Path) -> None:
    old = fresh.with_name(fresh.name + "-old")
    with held(place):  # else another run would sweep it as soon as it bears that name
        os.rename(str(place), str(old))
        try:
            os.rename(str(fresh), str(place))
        except OSError:
            if not os.path.lexists(str(place)):
                os.rename(str(old), str(place))
            raise
        _remove(old)


def _rename2(source: Path, to: Path, flags: int) -> bool:
    """Linux's renameat2; False where this system or file system has none."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    if call(_HERE, os.fsencode(str(source)), _HERE, os.fsencode(str(to)), ctypes.c_uint(flags)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(to))


def _locked(path: Path, wait: bool = True) -> int | None:
    """An open handle that holds the lock of ``path``; None where it is gone or another process holds it."""
    try:
        handle = os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(handle), os.lstat(str(path))):
            return handle
    except OSError as error:
        if wait and error.errno not in (errno.ENOENT, errno.EAGAIN):
            return handle  # a file system without locks: nothing is swept there either
    os.close(handle)
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path), ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _flush_one(path: Path) -> None:
    try:
        handle = os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EACCES):  # a link, or a file that only its owner may open
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # some file systems do not flush folders
            raise
    finally:
        os.close(handle)
