"""Engines built on this device, kept under what they depend on: graph, compiler version, GPU.

An engine is written whole or not at all, so that a power cut costs at most the build that was under way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping

from ..backends.compiler import BoardCandidate, Built, Compiler, Identity
from ..backends.runner import Runner
from ..files import replaced_folder, sha256_file, write_json
from ..storage.codec import encode
from .manifest import Manifest
from .seal import Seal

RECORD = "cache.json"
Say = Callable[[str], None]
Write = Callable[[Path, Any], None]


@dataclass(frozen=True)
class CachedEngine:
    """An engine on this board's disk.

    Attributes:
        folder: where it lies.
        candidate: what it was built from.
        built: what the compiler said.
        files: artefact file to its SHA-256.
        output: name of the output to return; None for the first.
        key: what it depends on.
    """

    folder: Path
    candidate: BoardCandidate
    built: Built
    files: Mapping[str, str]
    output: str | None
    key: Mapping[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Artefact file to bytes."""
        return {name: (self.folder / name).stat().st_size for name in self.files}

    @property
    def bytes(self) -> int:
        """Of the artefact."""
        return sum(self.sizes.values())

    def load(self, compiler: Compiler) -> Runner:
        """Make it ready to run.

        Raises:
            MachineError: this machine cannot run it.
        """
        return compiler.load(self.candidate, self.folder, self.built, self.output)

    def to_json(self) -> dict[str, Any]:
        """All but where it lies, for :func:`from_record`."""
        return {name: encode(value) for name, value in vars(self).items() if name != "folder"}


def from_record(folder: Path, table: Any) -> CachedEngine | None:
    """The engine that a record tells of; None where it is none, or was cut short."""
    try:
        candidate, built = BoardCandidate(**table["candidate"]), Built.from_table(table["built"])
        return CachedEngine(folder, candidate, built, dict(table["files"]), table["output"], dict(table["key"]))
    except (KeyError, TypeError, ValueError):
        return None


def build_engine(
    compiler: Compiler,
    candidate: BoardCandidate,
    graph: Path,
    folder: Path,
    timings: Path,
    workspace: int,
    output: str | None,
    key: Mapping[str, Any],
    write: Write = write_json,
) -> CachedEngine:
    """Build into a folder that is written whole or not at all, with a record of it.

    Args:
        compiler, candidate, graph, timings, workspace: see :meth:`~edge.backends.compiler.Compiler.build`.
        folder: to write or replace.
        output, key: see :class:`CachedEngine`.
        write: the record.

    Raises:
        EdgeError: the compiler refuses.
    """
    with replaced_folder(folder, RECORD) as fresh:
        built = compiler.build(candidate, graph, fresh, timings, workspace)
        files = {name: sha256_file(fresh / name) for name in built.files}
        made = CachedEngine(folder, candidate, built, files, output, key)
        write(fresh / RECORD, made.to_json())
    return made


def obtain(
    compiler: Compiler,
    identity: Identity,
    manifest: Manifest,
    candidate: BoardCandidate,
    bundle: Path,
    folder: Path,
    work: Path,
    seal: Seal,
    workspace: int,
    say: Say,
    output: str | None = None,
) -> CachedEngine:
    """The engine from an earlier run where it still fits, else a fresh build.

    Args:
        compiler, identity: the compiler, and what an engine is tied to.
        manifest, candidate, bundle: what to build, from files that were checked.
        folder: of the engine.
        work: folder that outlives runs, for what builds timed.
        seal: of that folder: an engine that this board did not build there is built again.
        workspace: bytes of scratch memory for the builder.
        say: told what is done, and why an old engine was not used.
        output: name of the output to return; None for the first.

    Raises:
        EdgeError: the compiler refuses.
    """
    key = _key(manifest, candidate, identity)
    kept = from_record(folder, seal.read(folder / RECORD))
    stale = _stale(kept, key) if kept else ""
    if kept and not stale:
        say(f"{candidate.name}: engine from an earlier run")
        return replace(kept, candidate=candidate, output=output)
    if stale:
        say(f"{candidate.name}: {stale}; building it again")
    else:
        say(f"{candidate.name}: building")
    timings = _timings(work, seal)
    graph = bundle / candidate.graph

    def write(path: Path, table: Any) -> None:
        seal.write(path, table, at=folder / RECORD)

    made = build_engine(compiler, candidate, graph, folder, timings, workspace, output, key, write)
    if timings.is_file():
        seal.write(timings.with_suffix(".json"), sha256_file(timings))
    return made


def _timings(work: Path, seal: Seal) -> Path:
    """Where builds keep what they timed; what this board did not leave there is removed."""
    path = work / "cache" / "timing.cache"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and seal.read(path.with_suffix(".json")) != sha256_file(path):
        path.unlink()
    return path


def _key(manifest: Manifest, candidate: BoardCandidate, identity: Identity) -> dict[str, Any]:
    return {
        "graph": manifest.files[candidate.graph][1],
        "precision": candidate.precision,
        "rest": candidate.rest,
        "typed": candidate.typed,
        **({"wide": list(candidate.wide)} if candidate.wide else {}),
        **asdict(identity),
    }


def _stale(kept: CachedEngine, key: Mapping[str, Any]) -> str:
    """Why an engine does not fit any more, "" where it does."""
    was = kept.key
    if was.get("version") != key["version"] or was.get("title") != key["title"]:
        return f"built by {was.get('title')} {was.get('version')}, this is {key['title']} {key['version']}"
    if was.get("sm") != key["sm"] or was.get("gpu") != key["gpu"]:
        return f"built for {was.get('gpu')} ({was.get('sm')}), this is {key['gpu']} ({key['sm']})"
    if dict(was) != dict(key):
        return "built from another graph"
    for name, digest in kept.files.items():
        path = kept.folder / name
        if Path(name).name != name or not path.is_file() or sha256_file(path) != digest:
            return "its file was changed"
    return ""
