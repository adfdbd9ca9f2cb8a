"""One process on a board, reached over SSH: strict host keys, keys and agents only, blocking reads with deadlines.

asyncssh runs on a thread of its own, so that it answers keep-alives while the caller computes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.boards.address import Address
from edge.errors import MachineError

T = TypeVar("T")

_PIECE = 1 << 20
LONGEST_PAUSE_S = 8.0
"""Between two attempts at a line."""
LOOK_S = 0.5
"""Time between two looks at whether to go on waiting."""
_NO_SSH = "boards are reached with asyncssh, which is not installed; pip install 'segedge[boards]'"
_NOT_FOUND = (126, 127)


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    Attributes:
        connect: for a connection and its login.
        alive: between two keep-alives; three that stay unanswered end the line.
        silence: for the next sign of life while the board works.
        retries: how often a lost line is taken up again, with growing pauses in between.
    """

    connect: float = 15.0
    alive: float = 5.0
    silence: float = 60.0
    retries: int = 6

    @property
    def linger(self) -> float:
        """Longest that a lost line may take to be taken up again; what was made on the board stays that long."""
        return self.silence + self.retries * (self.connect + LONGEST_PAUSE_S)


USUAL_PATIENCE = Patience()


class LineLost(Exception):
    """The line is gone, or silent; another may be had."""


class Channel:
    """A process on a board and its stdin and stdout.

    Args:
        address: of the board.
        command: what to run there.
        patience: deadlines.
        look: called twice a second while waiting; what it raises ends the wait.

    Raises:
        MachineError: asyncssh is not installed, or the board does not let this user in; trying again changes nothing.
        LineLost: it could not be reached.
    """

    def __init__(
        self, address: Address, command: str, patience: Patience, look: Callable[[], object] = lambda: None
    ) -> None:
        self._address, self._patience, self._look = address, patience, look
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: Any = None
        try:
            self._process = self._do(self._open(command), 2 * patience.connect)
        except BaseException:
            self.close()
            raise

    def read(self, count: int, seconds: float) -> bytes:
        """Exactly so many bytes.

        Raises:
            LineLost: the line ended, or nothing came in time.
        """
        return bytes(self._do(self._process.stdout.readexactly(count), seconds)) if count else b""

    def read_line(self, seconds: float) -> bytes:
        """One line, or what there is before the line ends.

        Raises:
            LineLost: nothing came in time.
        """
        return bytes(self._do(self._process.stdout.readline(), seconds))

    def write(self, pieces: Iterable[bytes]) -> None:
        """All of it.

        Raises:
            LineLost: the line ended, or took nothing for long.
        """
        for data in pieces:
            for start in range(0, len(data), _PIECE):
                self._do(self._write(data[start : start + _PIECE]), self._patience.silence)

    def ended(self) -> tuple[int | None, str]:
        """Exit status of the process, None where nobody says, and the last line that it wrote to stderr."""

        async def ask() -> tuple[int | None, str]:
            done = await self._process.wait()
            lines = bytes(done.stderr or b"").decode(errors="replace").strip().splitlines()
            return done.exit_status, lines[-1][:300] if lines else ""

        try:
            return self._do(ask(), 2.0)
        except (LineLost, MachineError):
            return None, ""

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with contextlib.suppress(LineLost, MachineError):
                self._do(self._hang_up(), 2.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        if not self._thread.is_alive():
            self._loop.close()

    async def _open(self, command: str) -> Any:
        import asyncssh

        where = self._address
        asked = {"port": where.port, "username": where.user}
        self._connection = await asyncssh.connect(
            where.host,
            **{name: value for name, value in asked.items() if value is not None},
            preferred_auth="publickey",
            connect_timeout=self._patience.connect,
            login_timeout=self._patience.connect,
            keepalive_interval=self._patience.alive,
            keepalive_count_max=3,
            agent_forwarding=False,
        )
        return await self._connection.create_process(command, encoding=None)

    async def _write(self, data: bytes) -> None:
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def _hang_up(self) -> None:
        self._connection.abort()
        await self._connection.wait_closed()

    def _do(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run on the loop's thread and wait.

        Raises:
            LineLost, MachineError: see the class.
        """
        try:
            import asyncssh
        except ImportError:
            work.close()
            raise MachineError(_NO_SSH) from None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        end = time.monotonic() + seconds
        try:
            while not wait([future], max(min(end - time.monotonic(), LOOK_S), 0)).done:
                if time.monotonic() >= end:
                    raise FutureTimeout
                self._look()
            return future.result()
        except (FutureTimeout, asyncio.TimeoutError):
            raise LineLost(f"it was silent for {seconds:.0f} s") from None
        except asyncssh.HostKeyNotVerifiable:
            raise MachineError(self._host_key_sentence()) from None
        except asyncssh.PermissionDenied:
            raise MachineError(
                f"{self._address}: takes none of this user's keys; add one there with ssh-copy-id, or start an agent"
            ) from None
        except asyncssh.KeyImportError as error:
            raise MachineError(f"{self._address}: a key of this user cannot be read ({error})") from None
        except asyncio.IncompleteReadError:
            raise LineLost("the line ended") from None
        except (asyncssh.Error, OSError) as error:
            raise LineLost(str(error) or type(error).__name__) from None
        finally:
            future.cancel()  # of what was not waited for to its end

    def _host_key_sentence(self) -> str:
        """Why the host key was not taken, with the line that adds it where the host is new."""
        import asyncssh

        where, known = self._address, Path("~/.ssh/known_hosts").expanduser()
        with contextlib.suppress(OSError, ValueError):
            if known.is_file() and asyncssh.match_known_hosts(str(known), where.host, "", where.port)[0]:
                return (
                    f"{where}: its host key is not the one in {known}; if the board was set up anew, run "
                    f"ssh-keygen -R {shlex.quote(where.known_as)} and try again, else somebody may be in between"
                )
        try:
            key = self._do(asyncssh.get_server_host_key(where.host, where.port or 22), self._patience.connect)
        except (LineLost, MachineError):
            key = None
        if key is None:
            return f"{where}: its host key is unknown; connect once with ssh {where} and compare it"
        entry = " ".join(key.export_public_key().decode().split()[:2])
        return (
            f"{where}: its host key ({key.get_fingerprint()}) is unknown; compare it on the board, then run: "
            f"echo {shlex.quote(f'{where.known_as} {entry}')} >> {known}"
        )


def end_sentence(address: Address, status: int | None, said: str) -> str:
    """Why a process ended that was to serve."""
    if status in _NOT_FOUND:
        return f"{address}: has no {address.python}; install Python 3.8 or newer there"
    told = f" ({said})" if said else ""
    return f"{address}: its process ended with status {status}{told}; see that it has memory, and try again"
