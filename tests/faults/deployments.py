"""Deployments with a fault each, and what is left on the disk after them: one process serves many (``server.py``)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.backends.engine import read_engine
from edge.errors import EdgeError
from edge.files import sha256_file
from edge.report.store import read_report
from tests.fixtures.discs import disc_network, write_discs

SHIM = Path(__file__).with_name("shim.c")
WRITE, OPEN, MAKE, FLUSH, RENAME = (1 << number for number in range(5))
WRITING = WRITE | OPEN | MAKE | FLUSH | RENAME
"""Everything that a full or failing disk may refuse."""
_ACTS = ("nothing", "fail", "fail on", "memory", "kill before", "kill after", "signal", "clock")
_OPTIONS = (
    "--target",
    "cpu",
    "--precisions",
    "fp32,int8",
    "--seconds",
    "0.05",
    "--budget",
    "2",
    "--threads",
    "1",
    "--allow-small",
)
_TEMPORARY = "tmp"
_BESIDE = ("report.html", "report.md", "source.onnx", "plan.json", "ranges.json")


@dataclass(frozen=True)
class Fault:
    """What happens at the ``at``-th event (from 1) of some classes of calls.

    Attributes:
        act: ``fail`` (once), ``fail on`` (from there on), ``memory`` (the next block of a page or more is refused),
            ``kill before`` or ``kill after`` the call, ``signal`` (to the command line), ``clock`` (there and back).
        classes: bits.
        at: which event.
        code: errno, or number of the signal.
        step: seconds that the clock jumps.
    """

    act: str
    classes: int = WRITING
    at: int = 0
    code: int = 0
    step: int = 0


NO_FAULT = Fault("fail")
"""Events are counted from 1."""


@dataclass(frozen=True)
class Done:
    """How a deployment ended.

    Attributes:
        codes: exit codes, one a command that ran at the same time.
        counts: events by class.
        calls: into native libraries, where these were counted.
        fired: whether the fault came about.
        path: where.
        said: everything on stdout and stderr.
        seconds: of CPU that it took.
    """

    codes: tuple[int, ...]
    counts: dict[int, int]
    calls: int
    fired: bool
    path: str
    said: str
    seconds: float


class Deployments:
    """A place with a tiny network and set, and a process that deploys it."""

    def __init__(self, place: Path) -> None:
        self.place, self.out, self.temporary = place, place / "out" / "run", place / _TEMPORARY
        write_discs(place / "discs", {"train": 4, "val": 2, "test": 4})
        disc_network().save(place / "discs.onnx")
        self.temporary.mkdir()
        (place / "home").mkdir()
        environment = {
            **os.environ,
            "LD_PRELOAD": str(build_shim(place)),
            "TMPDIR": str(self.temporary),
            "HOME": str(place / "home"),
        }
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        self.points, self.native = self._warm()
        self._known = set(os.listdir(self.temporary))

    def _warm(self) -> tuple[dict[int, int], int]:
        """Deploy twice without a fault, and have the process import all it needs; events by class, native calls."""
        modules = self.place / "modules"
        question = self._question(self._table(NO_FAULT), 0) | {"modules": str(modules)}
        done = self._run([question])
        assert done.codes == (0,), done.said
        self._ask({"load": modules.read_text().split()})
        done = self.deploy()
        assert done.codes == (0,), done.said
        return done.counts, done.calls

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def deploy(self, fault: Fault = NO_FAULT, native: int = 0) -> Done:
        """Deploy once with a fault; ``native`` sends the fault's signal as that native call begins."""
        return self._run([self._question(self._table(fault), native)])

    def deploy_together(self, count: int) -> Done:
        """So many deployments into one folder at the same time."""
        return self._run([self._question(self._table(NO_FAULT), 0, index) for index in range(count)])

    def start(self) -> None:
        """What the next start sweeps."""
        self._run([{"start": str(self.out)}])

    def left(self) -> list[str]:
        """What lies beside the run and among temporary files."""
        beside = (
            [path.name for path in self.out.parent.iterdir() if path != self.out] if self.out.parent.is_dir() else []
        )
        return sorted(beside + [name for name in os.listdir(self.temporary) if name not in self._known])

    @staticmethod
    def _table(fault: Fault) -> dict[str, Any]:
        return asdict(fault) | {"act": _ACTS.index(fault.act)}

    def _question(self, fault: dict[str, Any], native: int, index: int = 0) -> dict[str, Any]:
        words = ["deploy", "discs.onnx", "--data", "discs", "--out", str(self.out), *_OPTIONS]
        said = str(self.place / f"said{index}")
        return {"folder": str(self.place), "words": words, "fault": fault, "said": said, "native": native}

    def _run(self, questions: Sequence[dict[str, Any]]) -> Done:
        answer = self._ask({"together": questions})
        said = "".join(Path(q["said"]).read_text(errors="replace") for q in questions if "said" in q)
        counts = {1 << index: count for index, count in enumerate(answer["counts"][:5])}
        return Done(
            tuple(answer["codes"]),
            counts,
            answer["calls"],
            bool(answer["fired"]),
            answer["path"],
            said,
            answer["seconds"],
        )

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


def build_shim(folder: Path) -> Path:
    """Compile the preloaded library."""
    path = folder / "shim.so"
    subprocess.run(["cc", "-O1", "-fPIC", "-shared", "-o", path, SHIM, "-ldl", "-pthread"], check=True)
    return path


def digest(folder: Path) -> str:
    """Of every name and byte in a folder; "" where there is none."""
    if not folder.is_dir():
        return ""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0{sha256_file(path) if path.is_file() else ''}\n".encode())
    return total.hexdigest()


def fault_of_run(folder: Path) -> str:
    """What makes a run no whole one; "" where it is."""
    try:
        report = read_report(folder / "report.json")
        if sha256_file(folder / "reference.npz") != report.reference.outputs_sha256:
            return "outputs of another run"
        for row in report.engines:
            if row.path:
                read_engine(folder / row.path)
        missing = [
            name for name in ("report.html", "report.md", "source.onnx", "plan.json") if not (folder / name).is_file()
        ]
        return f"no {missing}" if missing else ""
    except (EdgeError, OSError) as error:
        return str(error)
