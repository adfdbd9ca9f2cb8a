"""A board as something to build, run and time engines on; what it lacks is sent, what it answers is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.backends.compiler import Built, Identity
from edge.backends.engine import Candidate, Layer
from edge.boards.line import Gone, Line, Step
from edge.bundle.stripped import holds_half
from edge.device.frames import Frame
from edge.errors import InputError, MachineError
from edge.files import sha256_bytes, sha256_file, write_bytes
from edge.graph.wide import wide_nodes
from edge.latency.statistics import Measured, summarize
from edge.safety.limits import exceeded, limits
from edge.storage.codec import decode

Array = NDArray[np.float32]
T = TypeVar("T")

BUILD_S = 3600.0
_VERIFY_S = 6 * BUILD_S
_SPARE_S = 300.0
_SLOWEST_RUN_S = 10.0  # of a network on a board; one that says nothing at all is given up much sooner
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_MOST_SENDINGS = 100


@dataclass(frozen=True)
class Facts:
    """What a board says of itself without any compiler.

    Attributes:
        model, title: for people.
        architecture: x86_64, aarch64, ...
        module: name of the Jetson's target, None for anything else.
        jetpack, python, numpy: versions.
        disk_free, memory_free: bytes.
        power_mode: None where it has none.
        clocks_fixed: whether no clock may change.
        hottest: degrees Celsius, None where it does not say.
        isa: CPU instruction sets that decide which kernels run.
    """

    model: str
    title: str
    architecture: str
    module: str | None
    jetpack: str | None
    python: str
    numpy: str
    disk_free: int
    memory_free: int
    power_mode: str | None
    clocks_fixed: bool
    hottest: float | None
    isa: tuple[str, ...]


@dataclass(frozen=True)
class BoardEngine:
    """An engine on a board.

    Attributes:
        key: its name there.
        built: what the compiler said.
        files: artefact file to (bytes, SHA-256).
        again: makes it there once more, where the board forgot it.
    """

    key: str
    built: Built
    files: Mapping[str, tuple[int, str]]
    again: Callable[[], object] = field(compare=False, repr=False)


class Board:
    """A board at the end of a line.

    Args:
        line: to it; closed with the board.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self.name = str(line.address)

    def look(self) -> Facts:
        """What machine it is."""
        return self._decoded(Facts, self._ask("look", {}, {}).table)

    def open(self, backend: str) -> tuple[Identity, Mapping[str, Any]]:
        """Start its compiler.

        Args:
            backend: name of the compiler.

        Returns:
            What the compiler is, and the ``environment`` of a report.

        Raises:
            MachineError: the board lacks the compiler, or a device for it.
        """
        try:
            table = self._line.open({"backend": backend}).table
        except Gone:
            raise self._nonsense("it asks for what it was not told of") from None
        environment = table.get("environment")
        if not isinstance(environment, dict):
            raise self._nonsense("no environment")
        return self._decoded(Identity, table.get("identity")), environment

    def build(self, candidate: Candidate) -> BoardEngine:
        """The engine of a candidate; the one that is there, where it was asked for before.

        Raises:
            InputError: the compiler refuses the graph.
            MachineError: the board cannot build.
        """
        graph = candidate.model.proto.SerializeToString()
        digest = sha256_bytes(graph)
        row = {
            "name": candidate.name,
            "precision": candidate.precision,
            "rest": candidate.rest,
            "typed": holds_half(candidate.model),
            "wide": wide_nodes(candidate.model),
            "nodes": [node.name for node in candidate.model.proto.graph.node],
        }
        question = {"candidate": row, "graph": digest, "output": candidate.model.task.output_name}
        answer = self._ask("build", question, {digest: lambda: graph}, seconds=BUILD_S).table
        built = self._decoded(Built, answer.get("built"))
        files = self._files(answer.get("files"), built)
        return BoardEngine(self._key(answer.get("key")), built, files, lambda: self.build(candidate))

    def adopt(
        self, precision: str, rest: str, built: Built, files: Mapping[str, Path], output: str | None
    ) -> BoardEngine:
        """Send an engine that was built elsewhere.

        Args:
            precision, rest: of the engine.
            built: what its compiler said.
            files: artefact file to where it lies here.
            output: name of the output to return; None for the first.
        """
        digests = {name: sha256_file(path) for name, path in files.items()}
        row = {"name": "adopted", "precision": precision, "rest": rest}
        table = {
            "artefact": built.artefact,
            "files": list(built.files),
            "seconds": built.seconds,
            "convs": vars(built.convs),
        }
        blobs = {digests[name]: path.read_bytes for name, path in files.items()}
        answer = self._ask("adopt", {"candidate": row, "built": table, "blobs": digests, "output": output}, blobs)
        sizes = {name: (path.stat().st_size, digests[name]) for name, path in files.items()}
        key = self._key(answer.table.get("key"))
        return BoardEngine(key, built, sizes, lambda: self.adopt(precision, rest, built, files, output))

    def run(self, engine: BoardEngine, inputs: Sequence[Array]) -> Array:
        """``[1, channels, height, width]`` float32 each to ``[inputs, maps, height, width]`` float32."""
        blobs = dict(_blob(image) for image in inputs)
        digests = [_blob(image)[0] for image in inputs]
        table = {"engine": engine.key, "inputs": digests, "shape": list(inputs[0].shape)}
        arrays = self._ask("run", table, blobs, [engine]).arrays
        if len(arrays) != 1 or arrays[0].dtype != np.float32 or arrays[0].ndim != 4 or len(arrays[0]) != len(inputs):
            raise self._nonsense("an output of another form")
        return arrays[0]

    def time(
        self, engines: Mapping[str, BoardEngine], image: Array, seconds: float, runs: int, advance: Callable[[], object]
    ) -> dict[str, Measured]:
        """Times of engines in turn, with power, clocks and temperatures among their conditions.

        Args:
            engines: by name.
            image: ``[1, channels, height, width]`` float32.
            seconds, runs: of each, both at least.
            advance: called for each second that was timed.
        """
        digest, read = _blob(image)
        table = {
            "engines": {name: engine.key for name, engine in engines.items()},
            "input": digest,
            "shape": list(image.shape),
            "seconds": seconds,
            "runs": runs,
        }
        deadline = _SPARE_S + len(engines) * (4 * seconds + _SLOWEST_RUN_S * runs)
        answer = self._ask("time", table, {digest: read}, list(engines.values()), deadline, lambda _: advance())
        rows, arrays = answer.table.get("rows"), answer.arrays
        if answer.table.get("names") != list(engines) or not isinstance(rows, dict) or len(arrays) != len(engines):
            raise self._nonsense("times of other engines")
        return {name: self._measured(rows.get(name), times) for name, times in zip(engines, arrays, strict=True)}

    def layers(self, engines: Sequence[BoardEngine], times: int) -> list[list[tuple[Layer, ...]]]:
        """So many layer tables of each engine, taken in turn."""
        question = {"engines": [engine.key for engine in engines], "times": times}
        tables = self._ask("layers", question, {}, engines, BUILD_S).table.get("tables")
        if not isinstance(tables, list) or len(tables) != len(engines) or not all(isinstance(t, list) for t in tables):
            raise self._nonsense("layers of other engines")
        return [[self._decoded(tuple[Layer, ...], table) for table in several] for several in tables]

    def fetch(self, engine: BoardEngine, folder: Path) -> None:
        """Write an engine's files into a folder, each checked by its hash."""
        for name, (size, digest) in engine.files.items():
            self._take(
                self._ask("fetch", {"engine": engine.key, "name": name}, {}, [engine]), folder / name, size, digest
            )

    def verify(
        self, files: Mapping[str, Path], seconds: float, runs: int, allow_small: bool, say: Step, out: Path
    ) -> None:
        """Have a bundle verified there, and write its run.

        Args:
            files: path in the bundle to where it lies here.
            seconds, runs: of each engine, both at least.
            allow_small: judge on fewer than 20 images.
            say: told of every step.
            out: empty folder for the run.
        """
        digests = {name: sha256_file(path) for name, path in files.items()}
        blobs = {digests[name]: path.read_bytes for name, path in files.items()}
        question = {"files": digests, "seconds": seconds, "runs": runs, "allow_small": allow_small}
        found = self._ask("verify", question, blobs, seconds=_VERIFY_S, step=say).table.get("files")
        for name, (size, digest) in self._decoded(dict[str, tuple[int, str]], found).items():
            parts = name.split("/")
            if len(parts) > 8 or not all(_PLAIN_NAME.fullmatch(part) for part in parts):
                raise self._nonsense("a file with a name that is none")
            self._take(self._ask("read", {"name": name}, {}), out / name, size, digest)

    def close(self) -> None:
        """End its process, whatever it is at, and remove what it kept."""
        self._line.close()

    def _ask(
        self,
        operation: str,
        table: Mapping[str, Any],
        blobs: Mapping[str, Callable[[], bytes]],
        engines: Sequence[BoardEngine] = (),
        seconds: float = _SPARE_S,
        step: Step = lambda _: None,
    ) -> Frame:
        """Ask; blobs that the board lacks are sent, engines are made, and it is asked again."""
        for _ in range(len(blobs) + _MOST_SENDINGS):
            try:
                return self._line.ask(operation, table, seconds=seconds, step=step)
            except Gone as gone:
                known = [blobs[digest] for digest in gone.digests if digest in blobs]
                forgotten = [engine for engine in engines if engine.key in gone.engines]
                if not known and not forgotten:
                    raise self._nonsense("it asks for what it was not told of") from None
                for read in known:
                    self._put(read())
                for engine in forgotten:
                    engine.again()
        raise MachineError(f"{self.name}: keeps nothing of what it is sent; free its disk")

    def _take(self, frame: Frame, path: Path, size: int, digest: str) -> None:
        """Write a file that came, if it is the one that was told of."""
        data = frame.arrays[0].tobytes() if len(frame.arrays) == 1 else b""
        if len(data) != size or sha256_bytes(data) != digest:
            raise self._nonsense(f"a file {path.name} that is not the one it told of")
        write_bytes(path, data)

    def _put(self, data: bytes) -> None:
        try:
            self._line.ask("put", arrays=[np.frombuffer(data, np.uint8)])
        except Gone:
            raise self._nonsense("it asks for what it was not told of") from None

    def _measured(self, row: Any, times: NDArray[Any]) -> Measured:
        """Times from their blocks, by the same arithmetic as here."""
        lengths: Any = row.get("lengths") if isinstance(row, dict) else None
        sound = (
            isinstance(lengths, list)
            and lengths
            and all(type(length) is int and length > 0 for length in lengths)
            and times.dtype == np.float64
            and sum(lengths) == times.size
            and bool(np.isfinite(times).all() and (times > 0).all())
            and isinstance(row.get("conditions"), dict)
            and isinstance(row.get("warnings"), list)
        )
        if not sound:
            raise self._nonsense("times that are none")
        blocks = np.split(times.ravel(), np.cumsum(lengths)[:-1])
        warnings = tuple(str(text)[:600] for text in row["warnings"] if isinstance(text, str))
        warmup = row.get("warmup")
        found = summarize(blocks, warmup if type(warmup) is int else 0, {**row["conditions"], "board": self.name})
        return replace(found, warnings=warnings, trustworthy=not warnings)

    def _files(self, table: Any, built: Built) -> dict[str, tuple[int, str]]:
        """Artefact files, none of them outside its folder or too large to take."""
        found = self._decoded(dict[str, tuple[int, str]], table)
        for name, (size, digest) in found.items():
            if not _PLAIN_NAME.fullmatch(name) or size < 0 or len(digest) != 64:
                raise self._nonsense("a file with a name or size that is none")
            if size > limits().message_bytes:
                # No InputError: that would say that the compiler refuses the graph.
                raise MachineError(str(exceeded(self.name, f"an engine's file of {size} bytes", "message_bytes")))
        if set(built.files) != set(found) or built.artefact not in found:
            raise self._nonsense("files of another engine")
        return found

    def _key(self, key: Any) -> str:
        if not isinstance(key, str) or len(key) != 64:
            raise self._nonsense("an engine without a key")
        return key

    def _decoded(self, kind: type[T], table: Any) -> T:
        try:
            return decode(kind, table, "answer")
        except (ValueError, TypeError) as error:
            raise self._nonsense(str(error)) from None

    def _nonsense(self, what: str) -> MachineError:
        return MachineError(f"{self.name}: does not answer as SegEdge does ({what}); is this the board you mean?")


def _blob(array: Array) -> tuple[str, Callable[[], bytes]]:
    """Digest of an array, and its bytes."""
    data = np.ascontiguousarray(array, np.float32).tobytes()
    return sha256_bytes(data), lambda: data


def refused(error: InputError, board: Board) -> str:
    """The compiler's own reason, without the board's name before it."""
    return str(error).removeprefix(f"{board.name}: ")
