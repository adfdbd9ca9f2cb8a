"""The parent's end of a worker: start, ask, give up in time."""

from __future__ import annotations

import json
import select
import subprocess
from typing import Any

from benchmarks.peers.builders import interpreter
from benchmarks.peers.setting import Setting

_LOG_TAIL = 300


class Session:
    """A worker process.

    Args:
        setting: what it builds; its chatter goes to a log in its scratch folder.
        worker: module of ``benchmarks.peers`` that it runs.

    Attributes:
        error: why it is lost; None while it is not.
        build_seconds: that its builder took, imports included; None until it is ready.
    """

    def __init__(self, setting: Setting, worker: str = "worker") -> None:
        self.error: str | None = None
        self.build_seconds: float | None = None
        self.log = setting.scratch / ("log.txt" if worker == "worker" else f"{worker}-log.txt")
        self._stream = self.log.open("w")
        self._process = subprocess.Popen(
            [interpreter(setting), "-m", f"benchmarks.peers.{worker}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stream,
            text=True,
        )
        self._send(setting.to_table())

    def ready(self, seconds: float) -> bool:
        """Wait until it is built; False, with :attr:`error`, where it crashed or took too long."""
        answer = self._receive(seconds)
        if answer is not None and answer.get("error"):
            self._fail(str(answer["error"]))
        elif answer is not None:
            self.build_seconds = float(answer["seconds"])
        return self.error is None

    def ask(self, wait: float, command: dict[str, Any]) -> dict[str, Any] | None:
        """Send a command and wait so many seconds for its answer; None where the worker is lost."""
        if self.error is not None:
            return None
        self._send(command)
        return self._receive(wait)

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._stream.close()

    def _send(self, table: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(table) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail("the process ended")

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], seconds)[0]:
            self._fail(f"no answer within {seconds:.0f} s")
            return None
        line = stream.readline()
        if not line:
            tail = self.log.read_text(errors="replace")[-_LOG_TAIL:].strip().splitlines()
            self._fail(f"the process ended: {tail[-1] if tail else 'no message'}")
            return None
        return json.loads(line)

    def _fail(self, reason: str) -> None:
        self.error = reason
        self.close()
