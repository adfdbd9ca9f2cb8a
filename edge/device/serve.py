"""The process on a board that a workstation speaks with over stdin and stdout, in :mod:`.frames`.

Each request has an id and an operation; its answer has the same id and one of

===========  =================================================================================
``answer``   what was asked for
``fault``    a sentence, and whose fault it is: ``input``, ``machine`` or ``bug``
``lacking``  digests and engine keys that have to be sent or built first
===========  =================================================================================

Before the answer come ``step`` (a second was timed, a line is to be said) and ``beat`` (still at work). A request may
be asked again at any time, on this line or on a later one: what was built is here. ``cancel``, and a line that ends or
says nothing for long, end the process at once. ``bye`` and ``cancel`` remove what it wrote; after a line that ended it
stays as long as the line may be taken up again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Mapping, NoReturn, Sequence

import numpy as np

from ..backends.compiler import BoardCandidate, Built
from ..errors import EdgeError, MachineError, first_line
from ..machine.machine import read_machine
from ..storage.codec import encode
from .bench import BoardBench, Lacking
from .claim import claim, end_group, lead_group, lock_file
from .frames import LARGEST_REQUEST, Frame, pack, read_frame
from .kit import read_result, verify_kit
from .proof import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Answer = tuple[Mapping[str, Any], Sequence[NDArray[Any]]]
    Step = Callable[[str], None]

_BEAT_S = 3.0
_IDLE_S = 1800.0
"""Longest between two requests; a workstation that is gone without a word does not keep the board."""

# Once nobody is at work here any more, what is left goes; whoever is at work cleans up after itself.
_SWEEP = """
import fcntl, os, shutil, sys, time
folder, lock, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
time.sleep(seconds)
handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
shutil.rmtree(folder, ignore_errors=True)
"""
RUNS = "runs"
"""Folder below the cache folder, with one folder for each deployment; there is never more than one for long."""


@dataclass
class Desk:
    """What operations work with.

    Attributes:
        folder: of this deployment.
        linger: seconds that it stays after its line has ended.
        bench: once ``open`` was asked.
    """

    folder: Path
    linger: float
    bench: BoardBench | None = None

    @property
    def opened(self) -> BoardBench:
        """The bench.

        Raises:
            MachineError: nobody opened it.
        """
        if self.bench is None:
            raise MachineError("the board was asked before its compiler was opened")
        return self.bench


def main(cache: str, session: str, owner: str, linger: float) -> None:
    """Serve until the line ends. Never returns.

    Args:
        cache: folder for everything that is written.
        session: name of the deployment, 32 hex digits; a second process of the same takes the first one's place.
        owner: who deploys, for whoever comes second.
        linger: seconds in which a lost line may be taken up again.
    """
    line = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints does not get between the frames
    folder = Path(cache) / RUNS / session
    server = _Server(sys.stdin.buffer, line, Desk(folder, linger))
    lead_group()
    try:
        claim(lock_file(), session, owner)
        _clear(folder.parent, session)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (EdgeError, OSError) as fault:
        server.refuse(first_line(fault))
    server.serve()


def _clear(runs: Path, session: str) -> None:
    """Remove what earlier deployments left; this board is this one's now."""
    for other in runs.glob("*"):
        if other.name != session:
            shutil.rmtree(str(other), ignore_errors=True)


class _Server:
    """Reads requests on a thread of its own, so that a line that ends or ``cancel`` is seen while something runs."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, desk: Desk) -> None:
        self._requests, self._answers, self._desk = requests, answers, desk
        self._writing = threading.Lock()
        self._waiting: queue.Queue[Frame] = queue.Queue()

    def refuse(self, sentence: str) -> None:
        """Say why there is nothing to be had, and end."""
        self._write({"id": 0, "fault": "machine", "says": sentence})
        os._exit(3)

    def serve(self) -> None:
        """Answer until the line ends."""
        self._write({"id": 0, "answer": {}})
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            try:
                frame = self._waiting.get(timeout=_IDLE_S)
            except queue.Empty:
                self._lost()
            number = frame.table.get("id")
            done = threading.Event()
            beat = threading.Thread(target=self._beat, args=(number, done), daemon=True)
            beat.start()
            try:
                table, arrays = self._answer(frame, number)
            finally:
                done.set()
                beat.join()
            self._write({"id": number, **table}, arrays)
            if frame.table.get("op") == "bye":
                _end()

    def _answer(self, frame: Frame, number: Any) -> Answer:
        def step(text: str) -> None:
            self._write({"id": number, "step": text})

        try:
            operation = _OPERATIONS[str(frame.table.get("op"))]
            table, arrays = operation(self._desk, frame, step)
        except Lacking as lacking:
            return {"lacking": {"digests": lacking.digests, "engines": lacking.engines}}, ()
        except EdgeError as fault:
            return {"fault": "machine" if isinstance(fault, MachineError) else "input", "says": str(fault)}, ()
        except MemoryError:
            return {"fault": "machine", "says": "it ran out of memory; close other programs there"}, ()
        except OSError as fault:
            where = fault.filename or self._desk.folder
            return {"fault": "machine", "says": f"{where}: {fault.strerror}; free its disk"}, ()
        except Exception as fault:
            traceback.print_exc()
            return {"fault": "bug", "says": f"{type(fault).__name__}: {first_line(fault)}"}, ()
        return {"answer": table}, arrays

    def _read(self) -> None:
        while True:
            try:
                frame = read_frame(self._exactly, LARGEST_REQUEST)
            except (EdgeError, EOFError, OSError, ValueError):
                self._lost()
            if frame.table.get("op") == "cancel":
                shutil.rmtree(str(self._desk.folder), ignore_errors=True)
                _end()
            self._waiting.put(frame)

    def _exactly(self, count: int) -> bytes:
        data = self._requests.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _beat(self, number: Any, done: threading.Event) -> None:
        while not done.wait(_BEAT_S):
            self._write({"id": number, "beat": True})

    def _write(self, table: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> None:
        with self._writing:
            try:
                for piece in pack(table, arrays):
                    self._answers.write(piece)
                self._answers.flush()
            except OSError:
                self._lost()

    def _lost(self) -> NoReturn:
        """The line is gone: what was made stays on disk for the next, but not for ever."""
        words = [sys.executable, "-c", _SWEEP, str(self._desk.folder), str(lock_file()), str(self._desk.linger)]
        quiet = subprocess.DEVNULL
        with contextlib.suppress(OSError):  # it could not be started: the next deployment sweeps
            subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        _end()


def _end() -> NoReturn:
    """End at once, whatever runs on other threads or in forks of this process."""
    if os.getpgrp() == os.getpid():
        end_group(os.getpid())
    os._exit(0)


def _open(desk: Desk, frame: Frame, step: Step) -> Answer:
    """Start the compiler: what it is, on what."""
    if desk.bench is None:
        desk.bench = BoardBench(str(frame.table["backend"]), desk.folder)
    return {"identity": encode(desk.bench.identity), "environment": encode(desk.bench.environment())}, ()


def _look(desk: Desk, frame: Frame, step: Step) -> Answer:
    """What machine this is, without any compiler."""
    machine = read_machine()
    table = {
        "model": machine.model,
        "architecture": machine.architecture,
        "module": machine.module.target if machine.module else None,
        "title": machine.module.title if machine.module else machine.model,
        "jetpack": machine.jetpack,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "disk_free": shutil.disk_usage(str(desk.folder)).free,
        "memory_free": machine.free_bytes,
        "power_mode": machine.power_mode,
        "clocks_fixed": machine.clocks_fixed,
        "hottest": max((degrees for _, degrees in machine.temperatures), default=None),
        "isa": list(machine.isa),
    }
    return encode(table), ()


def _put(desk: Desk, frame: Frame, step: Step) -> Answer:
    for array in frame.arrays:
        desk.opened.put(array.tobytes())
    return {}, ()


def _build(desk: Desk, frame: Frame, step: Step) -> Answer:
    table = frame.table
    key, kept = desk.opened.build(_candidate(table["candidate"]), str(table["graph"]), table.get("output"))
    return {
        "key": key,
        "built": encode(kept.built),
        "files": {name: (size, kept.files[name]) for name, size in kept.sizes.items()},
    }, ()


def _adopt(desk: Desk, frame: Frame, step: Step) -> Answer:
    table = frame.table
    candidate, built = _candidate(table["candidate"]), Built.from_table(table["built"])
    return {"key": desk.opened.adopt(candidate, built, table["blobs"], table.get("output"))}, ()


def _run(desk: Desk, frame: Frame, step: Step) -> Answer:
    table = frame.table
    return {}, (desk.opened.run(table["engine"], table["inputs"], table["shape"]),)


def _time(desk: Desk, frame: Frame, step: Step) -> Answer:
    """Run times travel as arrays: of each engine all its runs, and how many there are in each block."""
    table = frame.table
    found = desk.opened.time(
        table["engines"], table["input"], table["shape"], table["seconds"], table["runs"], lambda: step("")
    )
    rows = {
        name: {
            "warmup": one.warmup,
            "conditions": encode(one.conditions),
            "warnings": list(one.warnings),
            "lengths": [len(block) for block in one.blocks],
        }
        for name, one in found.items()
    }
    return {"names": list(found), "rows": rows}, [one.samples_ms for one in found.values()]


def _layers(desk: Desk, frame: Frame, step: Step) -> Answer:
    return {"tables": encode(desk.opened.layers(frame.table["engines"], frame.table["times"]))}, ()


def _fetch(desk: Desk, frame: Frame, step: Step) -> Answer:
    return {}, (np.frombuffer(desk.opened.fetch(frame.table["engine"], frame.table["name"]), np.uint8),)


def _verify(desk: Desk, frame: Frame, step: Step) -> Answer:
    table = frame.table
    files = {name: desk.opened.present(digest) for name, digest in table["files"].items()}
    options = Options(seconds=table["seconds"], min_runs=table["runs"], allow_small=table["allow_small"])
    return {"files": encode(verify_kit(desk.folder, files, options, step))}, ()


def _read(desk: Desk, frame: Frame, step: Step) -> Answer:
    return {}, (np.frombuffer(read_result(desk.folder, str(frame.table["name"])), np.uint8),)


def _bye(desk: Desk, frame: Frame, step: Step) -> Answer:
    if desk.bench is not None:
        desk.bench.close()
    shutil.rmtree(str(desk.folder), ignore_errors=True)
    return {}, ()


def _candidate(row: Mapping[str, Any]) -> BoardCandidate:
    return BoardCandidate(
        name=str(row["name"]),
        precision=str(row["precision"]),
        rest=str(row["rest"]),
        graph="",
        graph_sha256="",
        parity="",
        reasons={},
        typed=row.get("typed"),
        nodes=tuple(row.get("nodes", ())),
        wide=tuple(row.get("wide", ())),
    )


_OPERATIONS: Mapping[str, Callable[[Desk, Frame, Any], Any]] = {
    "look": _look,
    "open": _open,
    "put": _put,
    "build": _build,
    "adopt": _adopt,
    "run": _run,
    "time": _time,
    "layers": _layers,
    "fetch": _fetch,
    "verify": _verify,
    "read": _read,
    "bye": _bye,
}
