"""A campaign: so many damaged inputs, each read; what was neither taken nor refused in a sentence is a finding."""

from __future__ import annotations

import contextlib
import io
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import MACHINE_FAULTS, EdgeError
from tests.fuzz.surface import Surface, place_input

SECONDS = 10
"""Of this process's CPU: an input that takes longer hangs."""
WAITING_SECONDS = 120
"""Of the clock: a pipe, or the C++ tool, that is waited for longer hangs. (The clock also runs on a busy machine.)"""
_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.startfile")


class Hang(BaseException):
    """An input took too long."""


@dataclass
class Result:
    """What came of a campaign."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    slowest: float = 0.0  # of an input, seconds of this process's CPU
    grown_bytes: int = 0


@dataclass(frozen=True)
class Part:
    """Some of a surface's inputs, which a campaign reads in one go: what is resumed, and shared out to processes."""

    surface: Surface
    first: int
    count: int

    @property
    def name(self) -> str:
        """For a file."""
        return f"{self.surface.name.replace(' ', '-')}-{self.first}"


def parts(surfaces: list[Surface], count: int, largest: int = 250) -> list[Part]:
    """``count`` inputs shared out over the surfaces by weight, in parts of at most ``largest``."""
    total = sum(surface.weight for surface in surfaces)
    found = []
    for surface in surfaces:
        share = max(1, count * surface.weight // total)
        found += [Part(surface, first, min(largest, share - first)) for first in range(0, share, largest)]
    return found


def run(
    part: Part,
    seed: int,
    folder: Path,
    keep: Path | None = None,
    say: Callable[[str], object] = str,
) -> Result:
    """Read a part's damaged inputs.

    Args:
        seed: gives the same inputs again.
        folder: where inputs lie while they are read.
        keep: folder for the inputs of findings.
        say: told of each finding.
    """
    result, surface = Result(), part.surface
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with _watching(result):
        for index in range(part.first, part.first + part.count):
            rng = random.Random(f"{seed}/{surface.name}/{index}")
            name = rng.choice(sorted(surface.seeds))
            data = surface.mutate(surface.seeds[name], rng)
            path = place_input(surface, data, name, folder / "input")
            fault = _read(surface, path, result)
            if fault:
                result.findings.append(f"{surface.name} {seed}/{index}: {fault}")
                say(result.findings[-1])
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{part.name}-{index}-{name.replace('/', '-')}").write_bytes(data)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    result.grown_bytes = max(grown, surface.grown_bytes())
    return result


def together(results: Iterable[Result]) -> Result:
    """Sums of counts, the worst of times and memory."""
    whole = Result()
    for one in results:
        whole.outcomes += Counter(one.outcomes)
        whole.findings += one.findings
        whole.processes += one.processes
        whole.slowest = max(whole.slowest, one.slowest)
        whole.grown_bytes = max(whole.grown_bytes, one.grown_bytes)
    return whole


def _read(surface: Surface, path: Path, result: Result) -> str:
    """Why an input is a finding; "" where it was taken, or refused in one sentence."""
    start = time.process_time()
    try:
        with _time_limit(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            surface.read(path)
        result.outcomes["taken"] += 1
    except EdgeError as error:
        result.outcomes[f"exit {error.exit_code}"] += 1
        sentence = str(error)
        if not sentence or len(sentence) > 2000:
            return f"no sentence: {sentence[:80]!r}"
    except MemoryError:
        result.outcomes["exit 3"] += 1
    except Hang:
        return f"hangs\n{traceback.format_exc()[-600:]}"
    except OSError as error:
        if error.errno not in MACHINE_FAULTS:
            return traceback.format_exc()[-900:]
        result.outcomes["exit 3"] += 1
    except Exception:
        return traceback.format_exc()[-900:]
    finally:
        result.slowest = max(result.slowest, time.process_time() - start)
    return ""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, SECONDS), (signal.ITIMER_REAL, signal.SIGALRM, WAITING_SECONDS))
    before = [signal.signal(number, ring) for _, number, _ in timers]
    for timer, _, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


_watched: list[Result] = []
_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watched and event in _STARTS:
        _watched[-1].processes.append(f"{event} {arguments!r:.200}")


@contextlib.contextmanager
def _watching(result: Result) -> Iterator[None]:
    """Note every process that Python starts. (A hook cannot be taken away again, so there is one for all.)"""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hook)
    _watched.append(result)
    try:
        yield
    finally:
        _watched.pop()
