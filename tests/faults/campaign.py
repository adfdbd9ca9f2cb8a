"""A campaign of faults: at each event of a deployment a kind of fault, and what must hold after it."""

from __future__ import annotations

import errno
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from edge.backends.engine import read_engine
from edge.errors import EdgeError
from tests.faults.deployments import FLUSH, MAKE, OPEN, RENAME, WRITE, Deployments, Done, Fault, digest, fault_of_run

DAY = 86_400
_TOGETHER = 2
_MEASUREMENTS = ".run.search.json"
_INTERRUPTED = "run-interrupted"


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: for tables.
        fault: at each event of its classes.
        codes: exit codes that it may end with.
        killed: what is left may wait for the next start.
        native: at each call into a native library instead.
    """

    name: str
    fault: Fault
    codes: tuple[int, ...]
    killed: bool = False
    native: bool = False


_DISK = WRITE | OPEN | MAKE | FLUSH
KINDS = (
    Kind("a full disk", Fault("fail on", _DISK, code=errno.ENOSPC), (3,)),
    Kind("a failing disk", Fault("fail", WRITE | FLUSH | RENAME, code=errno.EIO), (3,)),
    Kind("no permission", Fault("fail on", OPEN | MAKE | RENAME, code=errno.EACCES), (3,)),
    Kind("no memory", Fault("memory", WRITE | OPEN), (3, 0)),
    Kind("killed before", Fault("kill before", FLUSH | RENAME), (3,), killed=True),
    Kind("killed after", Fault("kill after", FLUSH | RENAME), (3,), killed=True),
    *(Kind(f"{number.name} at a write", Fault("signal", WRITE | OPEN | MAKE, code=number), (130,))
      for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
    *(Kind(f"{number.name} in native code", Fault("signal", 0, code=number), (130,), native=True)
      for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
    Kind("the clock a day ahead and back", Fault("clock", WRITE | OPEN, step=DAY), (0,)),
)  # fmt: skip


@dataclass(frozen=True)
class CaseResult:
    """What came of one case.

    Attributes:
        kind: name of its kind.
        at: which event.
        outcome: exit code and which run is there.
        wrong: what must not be, and what the command said; "" where nothing is.
        seconds: of CPU that the deployment took.
    """

    kind: str
    at: int
    outcome: str
    wrong: str
    seconds: float


@dataclass
class Result:
    """What came of a campaign: outcomes by kind, and what must not be."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def idle(self) -> list[str]:
        """Kinds whose faults never came to anything: a campaign of them shows nothing."""
        wanted = {kind.name: {f"exit {code}," for code in kind.codes} for kind in KINDS}
        return [
            f"{name}: no case ended as it should, so the fault never came about"
            for name, outcomes in self.outcomes.items()
            if not any(outcome.startswith(tuple(wanted[name])) for outcome in outcomes)
        ]

    def add(self, kind: str, outcome: str, wrong: str) -> None:
        """One case more."""
        self.outcomes.setdefault(kind, Counter())[outcome] += 1
        if wrong:
            self.findings.append(wrong)


def cases(deployments: Deployments) -> Iterator[tuple[Kind, int]]:
    """Every kind at each of its events."""
    for kind in KINDS:
        most = (
            deployments.native
            if kind.native
            else sum(n for c, n in deployments.points.items() if c & kind.fault.classes)
        )
        for at in range(1, most + 1):
            yield kind, at


def run(deployments: Deployments, chosen: list[tuple[Kind, int]]) -> Result:
    """Deploy once for each case over the run that is there, and look at what is left."""
    result = Result()
    for kind, at in chosen:
        found = judged(deployments, kind, at)
        result.add(found.kind, found.outcome, found.wrong)
    return result


def judged(deployments: Deployments, kind: Kind, at: int) -> CaseResult:
    """One deployment with its fault, and what is left after it."""
    before = digest(deployments.out)
    done = deployments.deploy(replace(kind.fault, at=at), native=at if kind.native else 0)
    outcome, wrong = judge(deployments, kind, done, before)
    told = f"{kind.name} at {at} ({done.path}): {wrong}\n{done.said[-1500:]}" if wrong else ""
    return CaseResult(kind.name, at, outcome, told, done.seconds)


def judge(deployments: Deployments, kind: Kind, done: Done, before: str) -> tuple[str, str]:
    """The outcome in words, and what is wrong about it ("" where nothing is)."""
    (code,), after = done.codes, digest(deployments.out)
    old, new = after == before, after != before and not fault_of_run(deployments.out)
    outcome = f"exit {code}, the {'old' if old else 'new' if new else 'broken'} run"
    wrong = []
    if not old and not new:
        wrong.append(f"no whole run: {fault_of_run(deployments.out)}")
    if code == 0:
        if not new:
            wrong.append("exit 0 without a new run")
    elif code not in kind.codes:
        wrong.append(f"exit {code}")
    if "Traceback" in done.said:
        wrong.append("a traceback")
    wrong += _left(deployments, kind)
    return outcome, "; ".join(wrong)


def together(deployments: Deployments, times: int) -> list[str]:
    """Two deployments into one folder at the same time, so many times; what is wrong about any."""
    wrong = []
    for _ in range(times):
        before = digest(deployments.out)
        done = deployments.deploy_together(_TOGETHER)
        fault = fault_of_run(deployments.out)
        if done.codes != (0,) * _TOGETHER or fault or digest(deployments.out) == before or deployments.left():
            wrong.append(f"{done.codes} {fault} {deployments.left()}\n{done.said[-1500:]}")
    return wrong


def _left(deployments: Deployments, kind: Kind) -> list[str]:
    """What lies about that should not: after the next start where the command was killed, at once where it ended."""
    wrong = []
    if kind.killed:
        deployments.start()
    kept = deployments.out.parent / _INTERRUPTED
    for folder in sorted(kept.iterdir()) if kept.is_dir() else []:
        try:
            read_engine(folder)
        except (EdgeError, OSError) as error:
            wrong.append(f"kept half an engine: {error}")
    left = [name for name in deployments.left() if name not in (_MEASUREMENTS, _INTERRUPTED)]
    if left:
        deployments.start()
        still = [name for name in deployments.left() if name in left]
        wrong.append(f"left {left}" + (f", {still} for ever" if still else ""))
    shutil.rmtree(kept, ignore_errors=True)
    (deployments.out.parent / _MEASUREMENTS).unlink(missing_ok=True)
    return wrong
