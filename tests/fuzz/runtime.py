"""Surfaces of the C++ tool, with OpenVINO loaded: one process, under the sanitizers where it was built with them.

The programs are those of ``build/asan`` where it has them (``make fuzz`` builds it), else of ``build/runtime``.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.errors import InputError, MachineError
from edge.files import sha256_file
from edge.storage.binding import BLANK, bind
from tests.fixtures.discs import TASK
from tests.fixtures.runtime_kit import ROOT, make_engine, write_reference
from tests.fuzz import files as file_surfaces
from tests.fuzz.mutate import mutated_bytes, mutated_json
from tests.fuzz.surface import Surface

PROGRAM = Path("export") / "runtime" / "tests" / "segedge-batch"
_ENVIRONMENT = {
    # One frame of who allocates: OpenVINO has no frame pointers, so that deeper ones are never twice the same, and
    # keeping them all takes more memory and time with every input.
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096:malloc_context_size=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TBB_ENABLE_SANITIZERS": "1",
}


def program() -> Path | None:
    """The tool as one process for many command lines; None where it was not built."""
    found = (ROOT / "build" / folder / PROGRAM for folder in ("asan", "runtime"))
    return next((path for path in found if path.is_file()), None)


class Batch:
    """The process, started when first asked and again when it ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._plain_bytes = self._peak_bytes = 0
        self._start()  # now: what is started while inputs are read is a finding

    def call(self, *words: object) -> None:
        """One command line.

        Raises:
            InputError, MachineError: it refuses.
            AssertionError: it ended, or calls it a bug of ours; with what it said.
        """
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None and self._process.stdout is not None
        before = os.stat(self._said.name).st_size
        try:
            self._process.stdin.write("\t".join(map(str, words)) + "\n")
            self._process.stdin.flush()
            line = next((line for line in self._process.stdout if line.startswith("\x1e")), "")
        except BaseException:  # a hang: the next input needs a process that answers
            self.close()
            raise
        said = Path(self._said.name).read_bytes()[before:].decode("utf-8", "replace").strip()
        if not line:
            self.close()
            raise AssertionError(f"the tool ended: {said[-3000:]}")
        self._note_memory()
        code = int(line[1:])
        assert code in (0, 1, 2, 3), said
        if code in (2, 3):
            raise (InputError if code == 2 else MachineError)(said.removeprefix("error: "))

    def _start(self) -> None:
        self._process = subprocess.Popen(
                [self._path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
                env={**os.environ, **_ENVIRONMENT},
            )  # fmt: skip

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def grown_bytes(self) -> int:
        """How much more memory the process has held than after its first command line, which should be a sound one."""
        return self._peak_bytes - self._plain_bytes

    def _note_memory(self) -> None:
        with contextlib.suppress(OSError, TypeError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())  # type: ignore[union-attr]
            self._peak_bytes = max(self._peak_bytes, int(found[1]) * 1024)  # type: ignore[index]
            self._plain_bytes = self._plain_bytes or self._peak_bytes


def surfaces(place: Path) -> list[Surface]:
    """Doors of the C++ tool; none where it was not built."""
    built = program()
    if built is None:
        return []
    batch = Batch(built)
    engine = make_engine(place / "engine", TASK).folder
    plain = {surface.name: surface for surface in file_surfaces.surfaces(_empty(place / "files"))}
    known = plain["pictures on a board"].seeds
    pictures = {name: data for name, data in known.items() if name.endswith((".png", ".jpg", ".npy"))}
    picture = place / "a.png"
    picture.write_bytes(pictures["a.png"])
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    reference = write_reference(place / "reference", {"a": (pixels, pixels[..., 0] // 128)})
    manifest = {"engine.json": (engine / "engine.json").read_bytes()}
    network = {name: (engine / name).read_bytes() for name in ("model.xml", "model.bin")}
    listing = {"reference.json": (reference / "reference.json").read_bytes()}

    def infer(engine: Path, image: Path) -> None:
        batch.call("infer", engine, image, "--out", place / "out")

    def rehashed(path: Path) -> None:
        _take_hash(path)
        infer(path.parent, picture)

    infer(engine, picture)  # what it needs without any fault
    found = [
        Surface("C++ pictures", 8, pictures, mutated_bytes, lambda path: infer(engine, path)),
        Surface("C++ engine", 4, manifest, plain["engine"].mutate, lambda path: infer(path.parent, picture), engine),
        Surface("C++ network", 3, network, mutated_bytes, rehashed, engine),
        Surface(
            "C++ reference", 2, listing, mutated_json, lambda path: batch.call("verify", engine, path.parent), reference
        ),
    ]
    return [replace(surface, grown_bytes=batch.grown_bytes) for surface in found]


def _take_hash(path: Path) -> None:
    """Bind an engine to a file that was damaged, so that OpenVINO sees it."""
    manifest = path.parent / "engine.json"
    text = re.sub(rf'"{path.name}": "[0-9a-f]+"', f'"{path.name}": "{sha256_file(path)}"', manifest.read_text())
    manifest.write_bytes(bind(re.sub(r'"binding": "[0-9a-f]+"', f'"binding": "{BLANK}"', text).encode()))


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
