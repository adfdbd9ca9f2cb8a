"""A board's half of a bench: graphs and inputs kept by hash, engines kept by what they were built from.

Everything lies in one folder and nothing but that folder is written, so that a process that lost its line is replaced
by one that finds all of it there. What is asked of something that is not here (any more) is answered by
:class:`Lacking`, and whoever asked sends it.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..backends.compiler import BoardCandidate, Built, Compiler, Identity, find_compiler
from ..backends.runner import Layer, Runner
from ..errors import InputError, MachineError
from ..files import recover_json, replaced_folder, sha256_bytes, sha256_table, write_bytes, write_json
from ..latency.statistics import Measured
from ..machine.machine import ROOT, read_machine
from ..machine.rails import Power
from .clock import measure_idle, time_runners
from .engines import RECORD, CachedEngine, build_engine, from_record
from .report import environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_HEX = re.compile(r"[0-9a-f]{64}")
_MOST_ENGINES = 16
_MOST_INPUT_BYTES = 2 << 30
_SPARE_BYTES = 200 << 20
_BUILD_SHARE = 4  # of the graph's bytes: plan, timing cache, and both again while they are written


class Lacking(Exception):
    """What is asked for is not here.

    Attributes:
        digests: of blobs.
        engines: keys.
    """

    def __init__(self, digests: Sequence[str] = (), engines: Sequence[str] = ()) -> None:
        super().__init__("not here")
        self.digests, self.engines = tuple(digests), tuple(engines)


class BoardBench:
    """Engines of one compiler on this board.

    Args:
        backend: name of the compiler.
        folder: for everything it writes.
        root: where ``proc`` and ``sys`` lie.
    """

    def __init__(self, backend: str, folder: Path, root: Path = ROOT) -> None:
        self._backend, self._folder, self._root = backend, folder, root
        self._compiler: Compiler = find_compiler(backend)
        self.identity: Identity = self._compiler.identity()
        self._loaded: tuple[str, Runner] | None = None
        self._idle: Power | None = None

    def environment(self) -> dict[str, Any]:
        """The ``environment`` entry of a report."""
        return environment(read_machine(self._root), self.identity, self._backend)

    def put(self, data: bytes) -> None:
        """Keep a blob under its SHA-256; of too many, those that were not used for longest go."""
        path = self._blob(sha256_bytes(data))
        if not path.is_file():
            self._make_room(len(data))
            write_bytes(path, data)

    def build(self, candidate: BoardCandidate, graph: str, output: str | None) -> tuple[str, CachedEngine]:
        """The engine of a graph; the one that is here already, where there is one.

        Args:
            candidate: what it is; its ``graph`` and ``parity`` are not looked at.
            graph: digest of the ONNX file.
            output: name of the output to return; None for the first.

        Returns:
            The engine's key, and the engine.

        Raises:
            Lacking: the graph is not here.
            InputError: the compiler refuses it.
            MachineError: this board cannot build.
        """
        asked = [graph, output, candidate.rest, candidate.typed, list(candidate.wide), candidate.precision]
        key = sha256_table([*asked, asdict(self.identity)])
        try:
            return key, self._kept(key)
        except Lacking:
            pass
        path = self.present(graph)
        self._require_disk(_SPARE_BYTES + _BUILD_SHARE * path.stat().st_size)
        self._unload()
        self._forget_engines()
        folder = self._engine(key)
        timings = self._folder / "timing.cache"
        workspace = read_machine(self._root).scratch_bytes
        return key, build_engine(self._compiler, candidate, path, folder, timings, workspace, output, {})

    def adopt(self, candidate: BoardCandidate, built: Built, blobs: Mapping[str, str], output: str | None) -> str:
        """Take an engine that was built elsewhere.

        Args:
            candidate, built: what it is.
            blobs: artefact file to the digest of its blob.
            output: as for :meth:`build`.

        Raises:
            Lacking: a blob is not here.
        """
        found = {name: self.present(digest) for name, digest in blobs.items()}
        if any(Path(name).name != name for name in found):
            raise InputError("an engine's file is named by a path; build the engine again")
        key = sha256_table([dict(blobs), output, candidate.rest, "adopted"])
        folder = self._engine(key)
        with replaced_folder(folder, RECORD) as fresh:
            for name, path in found.items():
                shutil.copyfile(str(path), str(fresh / name))
            write_json(fresh / RECORD, CachedEngine(folder, candidate, built, dict(blobs), output, {}).to_json())
        return key

    def run(self, key: str, inputs: Sequence[str], shape: Sequence[int]) -> Array:
        """``[inputs, maps, height, width]`` float32.

        Args:
            key: of an engine.
            inputs: digests of float32 arrays.
            shape: ``[1, channels, height, width]`` of each.

        Raises:
            Lacking: the engine or an input is not here.
        """
        arrays = [self._input(digest, shape) for digest in inputs]
        runner = self._runner(key)
        return np.concatenate([runner.run(array) for array in arrays])

    def time(
        self,
        keys: Mapping[str, str],
        image: str,
        shape: Sequence[int],
        seconds: float,
        min_runs: int,
        advance: Callable[[], object],
    ) -> dict[str, Measured]:
        """Times of engines in turn.

        Args:
            keys: name to key.
            image, shape: digest and shape of what they are timed on.
            seconds, min_runs: of each, both at least.
            advance: called for each second that was timed.

        Raises:
            Lacking: an engine or the image is not here.
        """
        array = self._input(image, shape)
        kept = {name: self._kept(key) for name, key in keys.items()}
        self._unload()
        if self._idle is None:
            self._idle = measure_idle(self._root)
        with ExitStack() as stack:
            runners = {name: one.load(self._compiler) for name, one in kept.items()}
            for runner in runners.values():
                stack.callback(runner.close)
            return time_runners(runners, array, seconds, min_runs, self._idle, self._root, advance)

    def layers(self, keys: Sequence[str], times: int) -> list[list[tuple[Layer, ...]]]:
        """So many layer tables of each engine, taken in turn.

        Raises:
            Lacking: an engine is not here.
        """
        kept = [self._kept(key) for key in keys]
        self._unload()
        tables: list[list[tuple[Layer, ...]]] = [[] for _ in keys]
        with ExitStack() as stack:
            runners = []
            for one in kept:
                runners.append(one.load(self._compiler))
                stack.callback(runners[-1].close)
            for _ in range(times):
                for table, runner in zip(tables, runners):
                    table.append(runner.layers())
        return tables

    def fetch(self, key: str, name: str) -> bytes:
        """One of an engine's files.

        Raises:
            Lacking: the engine is not here.
            InputError: it has no such file.
        """
        if name not in self._kept(key).files:
            raise InputError(f"an engine has no file {name!r:.60}")
        return (self._engine(key) / name).read_bytes()

    def close(self) -> None:
        """Let go of the engine at hand."""
        self._unload()

    def _blob(self, digest: str) -> Path:
        if not _HEX.fullmatch(digest):
            raise InputError(f"{digest!r:.80} is no SHA-256")
        return self._folder / "blobs" / digest

    def present(self, digest: str) -> Path:
        """Where a blob lies.

        Raises:
            Lacking: it is not here.
        """
        path = self._blob(digest)
        if not path.is_file():
            raise Lacking(digests=[digest])
        os.utime(str(path))
        return path

    def _input(self, digest: str, shape: Sequence[int]) -> Array:
        return np.frombuffer(self.present(digest).read_bytes(), np.float32).reshape(tuple(shape)).copy()

    def _engine(self, key: str) -> Path:
        if not _HEX.fullmatch(key):
            raise InputError(f"{key!r:.80} is no engine's key")
        return self._folder / "engines" / key

    def _kept(self, key: str) -> CachedEngine:
        """What this board wrote of an engine; a folder that was cut short counts as none."""
        record = self._engine(key) / RECORD
        kept = from_record(record.parent, recover_json(record))
        if kept is None:
            raise Lacking(engines=[key])
        os.utime(str(record))
        return kept

    def _runner(self, key: str) -> Runner:
        """The engine, loaded; it stays at hand until another is asked for."""
        if self._loaded is None or self._loaded[0] != key:
            self._unload()
            self._loaded = (key, self._kept(key).load(self._compiler))
        return self._loaded[1]

    def _unload(self) -> None:
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None

    def _make_room(self, needed: int) -> None:
        blobs = _oldest_first((self._folder / "blobs").glob("*"))
        while blobs and sum(size for _, size, _ in blobs) + needed > _MOST_INPUT_BYTES:
            blobs.pop(0)[2].unlink()
        self._require_disk(_SPARE_BYTES + needed)

    def _forget_engines(self) -> None:
        """Those that were not asked for longest; whoever asks again builds again."""
        records = _oldest_first((self._folder / "engines").glob(f"*/{RECORD}"))
        for _, _, record in records[: max(0, len(records) - _MOST_ENGINES + 1)]:
            shutil.rmtree(str(record.parent), ignore_errors=True)

    def _require_disk(self, needed: int) -> None:
        free = shutil.disk_usage(str(self._folder)).free
        if free < needed:
            raise MachineError(f"{self._folder}: {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB needed; free the disk")


def _oldest_first(paths: Any) -> list[tuple[float, int, Path]]:
    rows = []
    for path in paths:
        status = path.stat()
        rows.append((status.st_mtime, status.st_size, path))
    return sorted(rows)
