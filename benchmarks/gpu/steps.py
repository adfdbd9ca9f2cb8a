"""The steps of a run on a GPU, most valuable first, each a command of its own with a time limit.

A step is a process, so that one that hangs or takes the GPU's context down with it ends nothing but itself.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.evidence import DONE, FAILED, LATE, Evidence
from edge.errors import EdgeError
from edge.files import read_json

_LAST_CHARS = 2000
_REHEARSAL_PATIENCE = 10.0
"""Times as long as on a GPU that a step may take where none is lent by the hour: on a busy machine without one."""
_FEW = ["--allow-small", "--calibration-images", "8", "--seconds", "0.1"]


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: in the evidence.
        command: without the interpreter: ``-m module words``.
        limit: seconds it may take at most.
        result: reads what it found from its standard output.
        passing: exit codes that mean it ran to its end.
        needs: a step whose result it takes up.
    """

    name: str
    command: tuple[str, ...]
    limit: float
    result: Callable[[str], Any]
    passing: tuple[int, ...] = (0,)
    needs: str = ""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        networks: model folders or ONNX files.
        data: image set.
        out: folder for run folders and the evidence.
        search_seconds: budget of each precision search.
        seconds: of timing for each engine and contender.
        small: few images, little timing, floors with little work, others' contenders on the CPU: to rehearse without
            a GPU.
    """

    networks: tuple[str, ...]
    data: Path
    out: Path
    search_seconds: float = 60.0
    seconds: float = 3.0
    small: bool = False

    def run_folder(self, network: str) -> Path:
        """Where a network's deployment goes."""
        return self.out / "runs" / Path(network).stem


def make_steps(plan: Plan) -> list[Step]:
    """All steps: the machine, one network whole, the tests, the other networks, then what compares them."""
    first, *others = plan.networks
    steps = [
        Step("machine", ("-m", "benchmarks.gpu.machine"), 120, told),
        _deploy(plan, first),
        _compare(plan, first),
        Step("tests", ("-m", "benchmarks.gpu.marked_tests"), 300, told),
        *(_deploy(plan, network) for network in others),
        Step("floors", _floors_command(plan), 180, told),
        Step("runtime", _runtime_command(plan), 300, told, needs=f"deploy {Path(first).stem}"),
        *(_compare(plan, network) for network in others),
    ]
    return [replace(step, limit=step.limit * _REHEARSAL_PATIENCE) for step in steps] if plan.small else steps


def run_steps(steps: Sequence[Step], evidence: Evidence, deadline: float, say: Callable[[str], None]) -> None:
    """Run what is not done yet, until a time of :func:`time.monotonic`."""
    for step in steps:
        left = deadline - time.monotonic()
        if evidence.done(step.name):
            say(f"{step.name}: done in an earlier run")
        elif left <= 0:
            say(f"{step.name}: no time left; run it again and it goes on here")
        elif step.needs and not evidence.done(step.needs):
            say(f"{step.name}: left out, {step.needs} has no result")
        else:
            say(f"{step.name}: {min(step.limit, left):.0f} s at most")
            _run(step, min(step.limit, left), evidence)
            row = evidence.steps[step.name]
            spent = f"{row['seconds']} s ({row['processor_seconds']} s of processor)"
            say(f"  {row['status']} after {spent}" + (f": {row['reason'][-300:]}" if row["reason"] else ""))


def _run(step: Step, limit: float, evidence: Evidence) -> None:
    start, before = time.monotonic(), _processor_seconds()

    def record(status: str, result: Any = None, reason: str = "") -> None:
        spent = time.monotonic() - start, _processor_seconds() - before
        evidence.record(step.name, status, *spent, result, reason)

    process = subprocess.Popen(
        [sys.executable, *step.command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its own children end with it
    )
    try:
        output, messages = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, messages = process.communicate()
        record(LATE, reason=messages[-_LAST_CHARS:])
        return
    if process.returncode not in step.passing:
        record(FAILED, reason=f"exit {process.returncode}: {messages[-_LAST_CHARS:]}")
        return
    try:
        record(DONE, step.result(output))
    except (EdgeError, ValueError, KeyError, OSError) as error:
        record(FAILED, reason=f"{error!r}: {messages[-_LAST_CHARS:]}")


def _processor_seconds() -> float:
    """Of the processes that have ended here, theirs included."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _deploy(plan: Plan, network: str) -> Step:
    folder = plan.run_folder(network)
    words = ["deploy", network, "--data", str(plan.data), "--target", "gpu", "--out", str(folder), "--quiet"]
    words += ["--precisions", "fp32,fp16,int8,mixed", "--budget", f"{plan.search_seconds:g}"]
    words += _FEW if plan.small else []
    command = ("-m", "edge.cli.app", *words)
    return Step(f"deploy {Path(network).stem}", command, 300, lambda _: deployed(folder), passing=(0, 1))


def _compare(plan: Plan, network: str) -> Step:
    words = ("--run", str(plan.run_folder(network)), "--model", network, "--data", str(plan.data))
    words += ("--seconds", f"{plan.seconds:g}")
    words += ("--device", "cpu") if plan.small else ()
    name, deployment = Path(network).stem, f"deploy {Path(network).stem}"
    return Step(f"compare {name}", ("-m", "benchmarks.gpu.compare", *words), 240, told, needs=deployment)


def _floors_command(plan: Plan) -> tuple[str, ...]:
    small = ("--small",) if plan.small else ()
    return ("-m", "benchmarks.gpu.floors", "--seconds", f"{plan.seconds:g}", *small)


def _runtime_command(plan: Plan) -> tuple[str, ...]:
    runs = tuple(str(plan.run_folder(network)) for network in plan.networks)
    return ("-m", "benchmarks.gpu.runtime", "--data", str(plan.data), "--build", str(plan.out / "runtime"), *runs)


def told(output: str) -> Any:
    """The JSON in a step's last line; what it calls may have printed before."""
    return json.loads(output.strip().rpartition("\n")[2])


def deployed(folder: Path) -> dict[str, Any]:
    """Each engine of a report: latency, masks against the float source, decibels against its own graph."""
    report = read_json(folder / "report.json")
    rows = {}
    for row in report["engines"]:
        accuracy, latency = row["accuracy"], row["latency_ms"]
        rows[row["name"]] = {
            "precision": row["precision"],
            "passed": row["gate"]["passed"],
            "reasons": row["gate"]["reasons"],
            "simulated": row["simulated"],
            "p50_ms": latency["p50"] if latency else None,
            "cov": latency["cov"] if latency else None,
            "dice_retained": accuracy["dice"]["retained"] if accuracy else None,
            "agreement": accuracy["agreement"] if accuracy else None,
            "sqnr_db": accuracy["sqnr_db"] if accuracy else None,
            "parity_db": accuracy["parity_db"] if accuracy else None,
        }
    return {"status": report["status"], "chosen": report["chosen"], "engines": rows, "timings": report["timings"]}
