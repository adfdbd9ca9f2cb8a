"""Engines built on this device, kept under what they depend on: graph, compiler version, GPU.

An engine is written whole or not at all, so that a power cut costs at most the build that was under way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

from ..backends.compiler import Built, Compiler, Identity
from ..backends.runner import ConvCounts
from ..codec import encode
from ..files import replaced_folder, sha256_file
from .manifest import Candidate, Manifest
from .seal import Seal

_RECORD = "cache.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class CachedEngine:
    """An engine on disk.

    Attributes:
        folder: where it lies.
        built: what the compiler said.
        files: name to SHA-256.
        key: what it depends on.
    """

    folder: Path
    built: Built
    files: Mapping[str, str]
    key: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of the artefact."""
        return sum((self.folder / name).stat().st_size for name in self.files)


def obtain(
    compiler: Compiler,
    identity: Identity,
    manifest: Manifest,
    candidate: Candidate,
    bundle: Path,
    work: Path,
    seal: Seal,
    workspace: int,
    say: Say,
) -> CachedEngine:
    """The engine from an earlier run where it still fits, else a fresh build.

    Args:
        compiler, identity: the compiler, and what an engine is tied to.
        manifest, candidate, bundle: what to build, from files that were checked.
        work: folder that outlives runs.
        seal: of that folder: an engine that this board did not build there is built again.
        workspace: bytes of scratch memory for the builder.
        say: told what is done, and why an old engine was not used.

    Raises:
        EdgeError: the compiler refuses.
    """
    key = _key(manifest, candidate, identity)
    folder = work / "engines" / candidate.name
    kept = _read(folder, seal)
    stale = _stale(kept, key) if kept else ""
    if kept and not stale:
        say(f"{candidate.name}: engine from an earlier run")
        return kept
    if stale:
        say(f"{candidate.name}: {stale}; building it again")
    else:
        say(f"{candidate.name}: building")
    timings = _timings(work, seal)
    with replaced_folder(folder, _RECORD) as fresh:
        built = compiler.build(candidate, bundle / candidate.graph, fresh, timings, workspace)
        files = {name: sha256_file(fresh / name) for name in built.files}
        record = {"key": key, "built": encode(built), "files": files}
        seal.write(fresh / _RECORD, record, at=folder / _RECORD)
    if timings.is_file():
        seal.write(timings.with_suffix(".json"), sha256_file(timings))
    return CachedEngine(folder, built, files, key)


def _timings(work: Path, seal: Seal) -> Path:
    """Where builds keep what they timed; what this board did not leave there is removed."""
    path = work / "cache" / "timing.cache"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and seal.read(path.with_suffix(".json")) != sha256_file(path):
        path.unlink()
    return path


def _key(manifest: Manifest, candidate: Candidate, identity: Identity) -> dict[str, Any]:
    return {
        "graph": manifest.files[candidate.graph][1],
        "precision": candidate.precision,
        "rest": candidate.rest,
        "typed": candidate.typed,
        **asdict(identity),
    }


def _read(folder: Path, seal: Seal) -> CachedEngine | None:
    """What a cache folder holds; None where it is empty, cut short, or this board did not write it there."""
    table = seal.read(folder / _RECORD)
    try:
        row = table["built"]
        lists = {name: tuple(row[name]) for name in ("files", "warnings")}
        built = Built(**{**row, **lists, "convs": ConvCounts(**row["convs"])})
        return CachedEngine(folder, built, dict(table["files"]), dict(table["key"]))
    except (KeyError, TypeError, ValueError):
        return None


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
