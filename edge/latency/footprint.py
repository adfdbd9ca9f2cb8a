"""Peak memory of one engine: a process of its own loads it and segments, and nothing else is in the figure."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.errors import MachineError
from edge.safety.limits import limits, out_of_time

RUNS = 5
# The child finds modules where this process does: an editable install, a checkout, or neither may be on its own path.
_CHILD = (
    "import json, sys; from pathlib import Path; sys.path[:] = json.loads(sys.argv[1])\n"
    "from edge.latency.footprint import measured_here\n"
    "print(json.dumps(measured_here(Path(sys.argv[2]), json.loads(sys.argv[3]))))"
)


@dataclass(frozen=True)
class Footprint:
    """Host memory of a process that loads one engine and runs it, in bytes. A device's own memory is not in it.

    Attributes:
        peak_bytes: the most resident at any moment: Python, the compiler's libraries, the engine and its buffers.
        added_bytes: of that, what came with the libraries, the engine and its runs.
        exact: the kernel's own high-water mark; otherwise sampled every 5 ms, which may miss a short peak.
    """

    peak_bytes: int
    added_bytes: int
    exact: bool


def footprint(engine: Path, threads: int | None = None) -> Footprint:
    """Load an engine in a fresh process, run it a few times, and read how much memory that took. A second or two.

    Args:
        engine: its folder.
        threads: CPU threads, None for the backend's own choice.

    Raises:
        MachineError: the process ended early (killed for memory, as a rule).
        InputError: it takes longer than the limit of seconds.
    """
    line = [sys.executable, "-c", _CHILD, json.dumps(sys.path), str(engine.resolve()), json.dumps(threads)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=limits().native_seconds, check=False)
    except subprocess.TimeoutExpired:
        raise out_of_time(engine, f"loading it and running it {RUNS} times") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise MachineError(f"{engine}: its memory could not be measured ({last}); free some memory and try again")
    return Footprint(**json.loads(done.stdout.splitlines()[-1]))


def measured_here(folder: Path, threads: int | None) -> dict[str, int | bool]:
    """What :func:`footprint` runs in its process: the fields of :class:`Footprint`."""
    from edge.backends import find_backend
    from edge.backends.engine import read_engine
    from edge.latency.memory import peak_memory
    from edge.task.noise import noise_batch

    engine = read_engine(folder)
    backend = find_backend(engine.backend)
    batch = noise_batch(engine.task)
    with peak_memory() as peak:
        runner = backend.load(engine, threads)
        for _ in range(RUNS):
            runner.run(batch)
    runner.close()
    return asdict(Footprint(peak.peak, peak.added, peak.exact))
