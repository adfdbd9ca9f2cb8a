"""Serves deployments with a fault each: everything is imported once, and each one runs in a fork of this process.

Started with ``shim.c`` preloaded; reads a question as JSON per line, answers with one.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from edge.cli.app import run_command
from edge.cli.supervise import supervise

_shim = ctypes.CDLL(None)
_shim.fault_path.restype = ctypes.c_char_p


def _load(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else each fork walks through all that was imported, and copies it


def _hasten() -> None:
    """Time for an instant only, with coarse intervals, and start no process to measure memory: none writes anything."""
    from edge.errors import MachineError
    from edge.fusion.driver import fuse
    from edge.latency import costs, peaks, statistics, timing
    from edge.pipeline import deploy, measure
    from edge.report import html
    from tests.fixtures.report_example import example

    def unmeasured(*_: object) -> NoReturn:
        raise MachineError("not measured")

    statistics._RESAMPLES = 50
    measure._MIN_RUNS = 10
    timing._SHORTEST_WARMUP_S = 0.001
    timing.warm_up.__defaults__ = (0.001,)
    peaks._best = lambda *_: 1.0
    costs.footprint = unmeasured
    deploy.fuse_for_target = lambda model, target, _, proof, *__: fuse(model, target.safe_rewrites or None, proof)
    measure._PIXEL_EFFORT = replace(measure._PIXEL_EFFORT, seconds=0.01)
    page = html.render(example().report)  # drawing takes longest of all
    html.render = lambda *_, **__: page


def _command(question: dict[str, Any]) -> NoReturn:
    """The user's command in this fork, with its fault set once the command line has forked its worker."""
    os.chdir(question["folder"])
    handle = os.open(question["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.argv = ["edge", *question["words"]]
    fault = question["fault"]

    def run() -> NoReturn:
        act = 0 if question["native"] else fault["act"]
        at, step = ctypes.c_long(fault["at"]), ctypes.c_long(fault["step"])
        _shim.fault_arm(act, fault["classes"], at, fault["code"], step)
        _watch_native_calls(question["native"], fault["code"])
        try:
            run_command()
        finally:
            if "modules" in question:
                Path(question["modules"]).write_text("\n".join(sys.modules))

    supervise(run)


def _watch_native_calls(at: int, number: int) -> None:
    """Count calls into native libraries, and send the command line a signal just as one begins (0: never)."""
    from edge.safety import watchdog

    begin, seen = watchdog._begin, [0]

    def begun(call: watchdog.State) -> None:
        begin(call)
        seen[0] += 1
        _shim.fault_note_call()
        if seen[0] == at:
            os.kill(os.getppid(), number)

    watchdog._begin = begun


def _begin(question: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        if question.get("start"):  # what the next start does before it writes anything
            from edge.storage.scratch import scratch
            from edge.storage.swap import sweep

            sweep(Path(question["start"]))
            with scratch():
                pass
            os._exit(0)
        _command(question)
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(99)


def main() -> None:
    """Serve until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for number in (signal.SIGINT, signal.SIGHUP):  # a shell's background and nohup have them ignored, for good
        signal.signal(number, signal.SIG_DFL)
    _shim.fault_share()
    _hasten()
    for line in sys.stdin:
        question = json.loads(line)
        if "load" in question:
            _load(question["load"])
            answer: dict[str, Any] = {}
        else:
            children = [_begin(one) for one in question["together"]]
            codes, cpu = [], 0.0
            for child in children:
                _, status, used = os.wait4(child, 0)
                cpu += used.ru_utime + used.ru_stime
                codes.append(os.waitstatus_to_exitcode(status))
            answer = {
                "codes": codes,
                "counts": [_shim.fault_counts(index) for index in range(5)],
                "calls": _shim.fault_calls(),
                "fired": _shim.fault_fired(),
                "path": _shim.fault_path().decode("utf-8", "replace"),
                "seconds": cpu,
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
