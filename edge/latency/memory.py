"""Peak memory of a stretch of work: the most this process held resident, and how much of it came with the work."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE_S = 0.005
_SELF = Path("/proc/self")


@dataclass
class Peak:
    """Bytes; filled when the ``with`` block ends.

    Attributes:
        before: resident when it began.
        peak: the most resident at any moment.
        exact: the kernel's own high-water mark; otherwise sampled every 5 ms, which may miss a short peak.
    """

    before: int
    peak: int = 0
    exact: bool = True

    @property
    def added(self) -> int:
        """What the work needed beyond what was there."""
        return max(0, self.peak - self.before)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch this process's resident memory while the body runs (its subprocesses are not counted).

    >>> with peak_memory() as peak: runner.run(batch)
    >>> peak.added
    """
    process = psutil.Process()
    peak = Peak(before=process.memory_info().rss)
    if _reset_high_water():
        yield peak
        peak.peak = _high_water()
        return
    peak.exact = False
    stop = threading.Event()

    def sample() -> None:
        while True:
            peak.peak = max(peak.peak, process.memory_info().rss)
            if stop.wait(_SAMPLE_S):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        peak.peak = max(peak.peak, process.memory_info().rss)


def _reset_high_water() -> bool:
    """Linux: writing 5 to ``clear_refs`` resets ``VmHWM`` (proc(5)). Whether that worked."""
    try:
        (_SELF / "clear_refs").write_text("5")
        return _high_water() > 0
    except OSError:
        return False


def _high_water() -> int:
    match = re.search(r"^VmHWM:\s+(\d+) kB", (_SELF / "status").read_text(), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0
