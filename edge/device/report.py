"""``report.json`` (schema ``edge.report/1``) and engine folders (``edge.engine/1``) as a device writes them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from ..backends.compiler import BoardCandidate, Identity
from ..backends.runner import Layer
from ..files import json_bytes, replaced_folder, sha256_table, write_bytes, write_json
from ..latency.statistics import Measured
from ..machine.cores import affinity
from ..machine.machine import Machine
from ..storage.binding import BLANK, bind
from ..storage.codec import encode
from .engines import CachedEngine
from .manifest import PACKAGE, Manifest
from .pictures import Pictures

REPORT, ENGINE = "report.json", "engine.json"
_SCHEMA, _ENGINE_SCHEMA = "edge.report/1", "edge.engine/1"


def failed_row(candidate: BoardCandidate, backend: str, gate: str, reason: str) -> dict[str, Any]:
    """The row of a candidate that gave no engine."""
    return {
        "name": candidate.name,
        "precision": candidate.precision,
        "backend": backend,
        "path": None,
        "bytes": None,
        "sha256": None,
        "build_seconds": None,
        "simulated": False,
        "accuracy": None,
        "latency_ms": None,
        "layers": [],
        "gate": {"preset": gate, "passed": False, "reasons": [reason], "checks": []},
        "latency_quantiles_ms": [],
    }


def engine_row(
    candidate: BoardCandidate,
    backend: str,
    kept: CachedEngine,
    proof: Mapping[str, Any],
    measured: Measured,
    layers: Sequence[Layer],
) -> dict[str, Any]:
    """The row of an engine that was checked and timed.

    Args:
        proof: from :func:`.proof.check`.
        measured: interleaved with the others.
        layers: profiled apart.
    """
    digests = dict(kept.files)
    return {
        "name": candidate.name,
        "precision": candidate.precision,
        "backend": kept.built.backend or backend,
        "path": f"engines/{candidate.name}",
        "bytes": kept.bytes,
        "sha256": next(iter(digests.values())) if len(digests) == 1 else sha256_table(digests),
        "build_seconds": kept.built.seconds,
        "simulated": False,
        "accuracy": proof["accuracy"],
        "latency_ms": encode(measured.summary()),
        "layers": encode(tuple(layers)),
        "gate": proof["gate"],
        "latency_quantiles_ms": list(measured.quantiles_ms()),
    }


def environment(machine: Machine, identity: Identity, backend: str) -> dict[str, Any]:
    """The ``environment`` entry of a report, as far as the board itself knows it."""
    return {
        "cpu": machine.model,
        "isa": list(machine.isa),
        "gpu": identity.gpu if identity.gpu != machine.model else None,
        "device": machine.model,
        "threads": len(affinity()),
        "versions": {backend: identity.version, "numpy": np.__version__},
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}, {machine.architecture}",
        "power_mode": machine.power_mode,
        "clocks_fixed": machine.clocks_fixed,
        "load": round(os.getloadavg()[0], 2),
        "jetpack": machine.jetpack,
        "machine": machine.to_json(),
    }


def bundle_environment(
    manifest: Manifest, machine: Machine, identity: Identity, power: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The same beside the version that packed the bundle and what the board draws at rest."""
    known = environment(machine, identity, manifest.backend)
    versions = {"segedge": manifest.versions.get("segedge", "unknown"), **known["versions"]}
    return {**known, "versions": versions, "idle_power": dict(power) if power else None}


def assemble(
    manifest: Manifest,
    pictures: Pictures,
    rows: Sequence[Mapping[str, Any]],
    reference: Mapping[str, Any],
    env: Mapping[str, Any],
    timings: Mapping[str, float],
    series: Mapping[str, Any],
    chosen: str | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The whole report as a table."""
    return {
        "schema": _SCHEMA,
        "status": "passed" if chosen else "failed",
        "model": dict(manifest.model),
        "task": dict(manifest.task),
        "target": dict(manifest.target),
        "data": {
            "calibration": manifest.data.get("calibration"),
            "search": None,
            "evaluation": {"name": pictures.source, "images": len(pictures), "sha256": pictures.sha256, "split": None},
        },
        "environment": dict(env),
        "command": f"python3 -m {PACKAGE} verify",
        "reference": dict(reference),
        "engines": [dict(row) for row in rows],
        "chosen": chosen,
        "timings": dict(timings),
        "images": dict(series),
        "fusion": None,
        "calibration": None,
        "notes": list(notes),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def write_run(
    out: Path, report: Mapping[str, Any], manifest: Manifest, kept: Mapping[str, CachedEngine], bundle: Path
) -> None:
    """Write the run folder, swapped in whole: the report, and every engine with its graph."""
    with replaced_folder(out, REPORT) as fresh:
        for candidate in manifest.candidates:
            if candidate.name in kept:
                folder = fresh / "engines" / candidate.name
                folder.mkdir(parents=True)
                write_engine(folder, candidate, manifest, kept[candidate.name], bundle)
        write_json(fresh / REPORT, report)


def write_engine(folder: Path, candidate: BoardCandidate, manifest: Manifest, kept: CachedEngine, bundle: Path) -> None:
    """Fill an empty folder with an engine: ``engine.json``, the artefact and its graph."""
    for name in kept.files:
        shutil.copyfile(str(kept.folder / name), str(folder / name))
    shutil.copyfile(str(bundle / candidate.graph), str(folder / "graph.onnx"))
    table = {
        "schema": _ENGINE_SCHEMA,
        "name": candidate.name,
        "precision": candidate.precision,
        "rest": candidate.rest,
        "backend": kept.built.backend or manifest.backend,
        "target": manifest.target["name"],
        "task": dict(manifest.task),
        "artefact": kept.built.artefact,
        "graph_sha256": candidate.graph_sha256,
        "artefact_sha256": dict(kept.files),
        "build_seconds": kept.built.seconds,
        "convs": encode(kept.built.convs),
        "versions": {kept.built.backend or manifest.backend: kept.built.version or kept.key["version"]},
        "runs_on": {
            "gpu": kept.key["gpu"],
            "sm": kept.key["sm"],
            "architecture": platform.machine(),
            "python": sys.version.split()[0],
        },
        "binding": BLANK,
    }
    write_bytes(folder / ENGINE, bind(json_bytes(table)))
