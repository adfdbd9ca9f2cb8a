"""A line to a board that outlives its connections: each question is asked until it is answered, on this line or the
next.

The board keeps what it was sent and what it built, so a question that is asked again costs what was under way and
nothing else.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import platform
import secrets
import shlex
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from numpy.typing import NDArray

from edge.boards.address import Address
from edge.boards.ssh import LONGEST_PAUSE_S, LOOK_S, USUAL_PATIENCE, Channel, LineLost, Patience, end_sentence
from edge.boards.start import package_digest
from edge.bundle.portable import portable_files
from edge.device.frames import Frame, LargeFrame, pack, read_frame
from edge.errors import EdgeError, InputError, MachineError
from edge.safety.guard import parse_json, printable
from edge.safety.limits import exceeded, limits

ANSWER_S = 300.0
"""Deadline of an answer where the question does not say another."""

_LOGIN_LINES = 200
_LONGEST_SENTENCE = 600
_LARGEST_WORD = 1 << 16
_FIRST_PAUSE_S = 0.25

Step = Callable[[str], object]


class Gone(Exception):
    """The board lacks what was asked about.

    Attributes:
        digests: of blobs to send.
        engines: keys of engines to build.
    """

    def __init__(self, digests: Sequence[str], engines: Sequence[str]) -> None:
        super().__init__("gone")
        self.digests, self.engines = tuple(digests), tuple(engines)


class Line:
    """Questions to a board and their answers.

    Args:
        address: of the board.
        patience: deadlines, and how often a lost line is taken up again.
        told: called with a sentence when a line is lost and when it is there again.
        look: called twice a second while waiting for the board; what it raises ends the wait.

    Raises:
        MachineError: the board cannot be reached, lets nobody in, is in use, or lacks something.
    """

    def __init__(
        self,
        address: Address,
        patience: Patience = USUAL_PATIENCE,
        told: Callable[[str], object] = lambda _: None,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self.address = address
        self._patience, self._told, self._look = patience, told, look
        self._session, self._number = secrets.token_hex(16), 0
        self._opening: Mapping[str, Any] | None = None
        self._channel: Channel | None = None
        self._asking = False
        self._connect(tries=2)

    def open(self, table: Mapping[str, Any]) -> Frame:
        """Ask ``open``; it is asked again on every further line."""
        answer = self.ask("open", table)
        self._opening = table
        return answer

    def ask(
        self,
        operation: str,
        table: Mapping[str, Any] | None = None,
        arrays: Sequence[NDArray[Any]] = (),
        seconds: float = ANSWER_S,
        step: Step = lambda _: None,
    ) -> Frame:
        """Ask, and wait for the answer.

        Args:
            operation, table, arrays: the question, see :mod:`edge.device.serve`.
            seconds: deadline of the answer.
            step: called with each sign of progress.

        Raises:
            Gone: the board lacks something that the question names.
            InputError: a graph or an argument is at fault.
            MachineError: the board is, or the line to it.
        """
        self._number += 1
        question = {"id": self._number, "op": operation, **(table or {})}
        for tried in range(self._patience.retries + 1):
            try:
                if self._channel is None:
                    self._connect(self._patience.retries)
                return self._exchange(question, arrays, seconds, step)
            except LineLost as lost:
                self._drop()
                if tried == self._patience.retries:
                    raise MachineError(
                        f"{self.address}: {lost}, {tried + 1} times over; look after the board"
                    ) from None
                self._told(f"{self.address}: {lost}; connecting again")
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the board's process, whatever it is at, and remove what it kept; never raises."""
        if self._channel is None:
            return
        self._look = lambda: None  # what has ended everything must not end the farewell
        with contextlib.suppress(LineLost, EdgeError):
            question = {"id": self._number + 1, "op": "cancel" if self._asking else "bye"}
            self._channel.write(pack(question))
            if not self._asking:
                self._answer(self._channel, self._number + 1, 10.0, lambda _: None)
                self._channel.ended()  # it lets go of the board with that, and whoever comes next finds it free
        self._drop()

    def _exchange(
        self, question: Mapping[str, Any], arrays: Sequence[NDArray[Any]], seconds: float, step: Step
    ) -> Frame:
        channel = self._channel
        assert channel is not None
        self._asking = True  # until it is answered: what interrupts this leaves the board at work
        channel.write(pack(question, arrays))
        return self._answer(channel, int(question["id"]), seconds, step)

    def _answer(self, channel: Channel, number: int, seconds: float, step: Step) -> Frame:
        end = time.monotonic() + seconds
        while True:
            frame = self._frame(channel, end)
            table = frame.table
            if table.get("id") != number or "beat" in table:
                continue  # of a question that was asked before the line was lost
            if "step" in table:
                step(self._text(table["step"]))
            elif "lacking" in table:
                lacking = table["lacking"] if isinstance(table["lacking"], dict) else {}
                self._asking = False
                raise Gone(_names(lacking.get("digests")), _names(lacking.get("engines")))
            elif "fault" in table:
                self._asking = False
                raise self._fault(table)
            elif isinstance(table.get("answer"), dict):
                self._asking = False
                return Frame(table["answer"], frame.arrays)
            else:
                raise self._nonsense("an answer without content")

    def _frame(self, channel: Channel, end: float) -> Frame:
        def read(count: int) -> bytes:
            left = end - time.monotonic()
            if left <= 0:
                raise LineLost("it did not answer in time")
            return channel.read(count, min(left, self._patience.silence))

        try:
            return read_frame(read, limits().message_bytes)
        except LargeFrame as error:
            raise MachineError(
                str(exceeded(self.address, f"answers with {error.size} bytes", "message_bytes"))
            ) from None
        except EdgeError as error:
            raise self._nonsense(str(error)) from None

    def _connect(self, tries: int) -> None:
        """A line with a process at its end that answers.

        Raises:
            MachineError: there is none to be had.
        """
        pause, reason = _FIRST_PAUSE_S, "cannot be reached"
        for tried in range(max(tries, 1)):
            if tried:
                self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            try:
                self._channel = self._start()
                if self._opening is not None:
                    self._exchange({"id": -1, "op": "open", **self._opening}, (), ANSWER_S, lambda _: None)
                return
            except LineLost as lost:
                reason = str(lost)
                self._drop()
        raise MachineError(f"{self.address}: {reason}; see that it is on and that ssh {self.address} works")

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._look()
            time.sleep(min(left, LOOK_S))

    def _start(self) -> Channel:
        """Log in, send what the board lacks of this version, and wait until it serves."""
        digest, package = _package()
        marker = f"segedge-{secrets.token_hex(8)}"
        owner = f"{getpass.getuser()}@{platform.node()}"
        text = files("edge.boards").joinpath("start.py").read_bytes()
        text += f"\nstart({marker!r}, {digest!r}, {self._session!r}, {owner!r}, {self._patience.linger!r})\n".encode()
        first = "import sys;exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())),'start','exec'))"
        command = f"exec {shlex.quote(self.address.python)} -c {shlex.quote(first)}"
        channel = Channel(self.address, command, self._patience, lambda: self._look())
        try:
            channel.write([b"%d\n" % len(text), text])
            self._skip_login(channel, marker.encode())
            if self._word(channel).get("wanted"):
                channel.write([struct.pack(">I", len(package)), package])
                self._word(channel)
            answer = self._frame(channel, time.monotonic() + self._patience.silence)
            if "fault" in answer.table:
                raise self._fault(answer.table)
        except LineLost:
            status, said = channel.ended()
            channel.close()
            if status is not None:
                raise MachineError(end_sentence(self.address, status, printable(said))) from None
            raise
        except BaseException:
            channel.close()
            raise
        return channel

    def _skip_login(self, channel: Channel, marker: bytes) -> None:
        for _ in range(_LOGIN_LINES):
            line = channel.read_line(self._patience.silence)
            if line.strip() == marker:
                return
            if not line:
                raise LineLost("it ended the session at once")
        raise self._nonsense("a login that prints without end")

    def _word(self, channel: Channel) -> dict[str, Any]:
        """One message of :mod:`edge.boards.start`."""
        (length,) = struct.unpack(">I", channel.read(4, self._patience.silence))
        if length > _LARGEST_WORD:
            raise self._nonsense("a first word too long")
        try:
            table = parse_json(channel.read(length, self._patience.silence), str(self.address))
        except InputError as error:
            raise self._nonsense(str(error)) from None
        if not isinstance(table, dict):
            raise self._nonsense("a first word that is no table")
        if "fault" in table:
            raise MachineError(f"{self.address}: {self._text(table['fault'])}")
        return table

    def _fault(self, table: Mapping[str, Any]) -> EdgeError:
        sentence = f"{self.address}: {self._text(table.get('says'))}"
        if table["fault"] == "input":
            return InputError(sentence)
        return MachineError(sentence)

    def _nonsense(self, what: str) -> MachineError:
        return MachineError(f"{self.address}: does not answer as SegEdge does ({what}); is this the board you mean?")

    def _text(self, said: Any) -> str:
        return printable(str(said)[:_LONGEST_SENTENCE])

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _names(listed: Any) -> list[str]:
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


@cache
def _package() -> tuple[str, bytes]:
    """Digest of the portable files, and what is sent of them."""
    package = portable_files()
    return package_digest(package), json.dumps({name: data.decode() for name, data in package.items()}).encode()
