"""Pack a run for a device: graphs, task, gate, images, references and the Python that does the rest there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge import __version__
from edge.accuracy.gate import presets
from edge.backends.onnxruntime import reference as exact_runner
from edge.bundle.archive import write_archive
from edge.bundle.contents import (
    Files,
    ParityInputs,
    image_files,
    parity_file,
    probe_files,
    runtime_files,
)
from edge.bundle.portable import portable_files
from edge.bundle.readme import readme
from edge.bundle.source import Run, open_run
from edge.bundle.stripped import holds_half, save_stripped
from edge.device.manifest import SCHEMA
from edge.device.preflight import generation
from edge.errors import InputError
from edge.files import sha256_bytes
from edge.graph.model import Model
from edge.graph.wide import wide_nodes
from edge.lowering import lower
from edge.storage.scratch import scratch
from edge.targets.target import UNKNOWN, Target

FEWEST_IMAGES = 24
REFERENCE_NAME = "reference"
_BACKENDS = ("openvino", "arm_cpu", "tensorrt", "tensorrt_rtx")
_ARCHITECTURES: Mapping[str, str] = {"jetson": "aarch64", "cpu": "x86_64", "gpu": "x86_64"}


def pack(
    run: Path,
    target: Target,
    jetpack: str | None,
    images: bool,
    out: Path,
    data: Path | None = None,
    allow_small: bool = False,
) -> Path:
    """Write one archive with all that a device needs. The same run gives the same bytes.

    Args:
        run: folder that ``edge deploy`` wrote for this target.
        target: the device.
        jetpack: release on it; None takes the one that the run was made for.
        images: whether images, masks and outputs travel; without them the device brings its own images.
        out: the archive to write, ``.tar.gz``.
        data: image set of the run; None looks where the run's command line says.
        allow_small: pack fewer than 24 images.

    Raises:
        InputError: the run is for another target or JetPack, damaged, or its images are not to be found.
        MachineError: the disk is full.
    """
    if not out.name.endswith(".tar.gz"):
        raise InputError(f"--out {out}: a bundle is a .tar.gz; give a name that ends so")
    found = open_run(run)
    _require_target(found, target)
    runs_on = _runs_on(found, target, jetpack)
    files, described, inputs = _data(found, images, data, allow_small)
    candidates = [
        _add_graph(engine.name, engine.precision, engine.rest, graph, inputs, _reasons(found, engine.name), files)
        for engine, graph in found.engines
    ]
    if not images and not any(row["precision"] == "fp32" for row in candidates):
        candidates.append(_float_reference(found, runs_on, inputs, files))
    files.update(portable_files())
    runtime = runtime_files()
    files.update(runtime)
    table = _manifest(found, target, runs_on, candidates, described, images)
    files["README.md"] = readme(table["title"], target, table, out.name, bool(runtime)).encode()
    table["files"] = {
        name: {"bytes": len(contents), "sha256": sha256_bytes(contents)} for name, contents in sorted(files.items())
    }
    manifest = (json.dumps(table, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    return write_archive(out, manifest, files)


def warnings(images: bool) -> tuple[str, ...]:
    """What the person who packs must know, one sentence each."""
    if not images:
        return ()
    return (
        "the bundle carries the evaluation images and their masks: unless they are public, treat it as patient data",
    )


def _require_target(run: Run, target: Target) -> None:
    made_for = run.report.target.get("name")
    if made_for != target.name:
        raise InputError(f"{run.folder}: was made for {made_for}; run edge deploy with --target {target.name} first")
    if target.backend not in _BACKENDS:
        raise InputError(f"--target {target.name}: {target.backend} engines are not built from bundles")


def _runs_on(run: Run, target: Target, jetpack: str | None) -> dict[str, Any]:
    """What the device's preflight compares."""
    kind, architecture = target.kind, target.fact("architecture")
    table: dict[str, Any] = {
        "kind": kind,
        "architecture": _ARCHITECTURES[kind] if architecture == UNKNOWN else architecture,
        "module": target.name,
    }
    engine = run.engines[0][0]
    version = engine.versions.get(target.compilers[0]) or engine.versions.get("tensorrt", "")
    if kind != "jetson":
        if jetpack is not None:
            raise InputError(f"--jetpack {jetpack}: {target.name} is not a Jetson; leave it out")
        return {**table, target.backend: version, "sm": str(target.fact("sm"))}
    release = target.find_jetpack(jetpack) if jetpack else _made_for(target, version)
    if generation(release.tensorrt) != generation(version):
        raise InputError(
            f"{run.folder}: its graphs are for TensorRT {version}, JetPack {jetpack} has {release.tensorrt}; "
            f"run edge deploy with --jetpack {jetpack} first"
        )
    return {**table, "tensorrt": release.tensorrt, "jetpack": jetpack or release.version, "sm": str(target.fact("sm"))}


def _made_for(target: Target, tensorrt: str) -> Any:
    for release in target.jetpacks:
        if generation(release.tensorrt) == generation(tensorrt) and release.tensorrt == tensorrt:
            return release
    return target.find_jetpack(None)


def _data(run: Run, images: bool, data: Path | None, allow_small: bool) -> tuple[Files, dict[str, Any], ParityInputs]:
    """Image files, what the manifest says of them, and what parity is measured on."""
    task = run.source.task
    if not images:
        files, inputs = probe_files(task)
        return files, {"images": 0, "name": "none", "sha256": sha256_bytes(b"")}, inputs
    names, outputs = run.reference()
    chosen = run.images(data)
    if tuple(sample.name for sample in chosen) != names:
        raise InputError(f"{run.folder}: reference.npz is of other images than the report; deploy again")
    if len(chosen) < FEWEST_IMAGES and not allow_small:
        raise InputError(
            f"{len(chosen)} evaluation images are too few for a bundle (at least {FEWEST_IMAGES}); add images to the "
            "test split, or use --no-images"
        )
    strata, group = run.option("--strata"), run.option("--group")
    float_run = exact_runner(run.source).run if task.fit == "tile" else None
    files, described, inputs = image_files(chosen, names, outputs, task, strata, group, float_run)
    described["calibration"] = _calibration(run)
    return files, described, inputs


def _calibration(run: Run) -> dict[str, Any] | None:
    part = run.report.data.calibration
    return {"name": "calibration images", "images": part.images, "sha256": part.sha256} if part else None


def _float_reference(run: Run, runs_on: Mapping[str, Any], inputs: ParityInputs, files: Files) -> dict[str, Any]:
    """The float graph, built on the device only to compare the others with."""
    graph = lower(run.source, str(runs_on["tensorrt"])) if "tensorrt" in runs_on else run.source
    row = _add_graph(REFERENCE_NAME, "fp32", "fp32", graph, inputs, {}, files)
    return {**row, "candidate": False}


def _add_graph(
    name: str,
    precision: str,
    rest: str,
    graph: Model,
    inputs: ParityInputs,
    reasons: Mapping[str, str],
    files: Files,
) -> dict[str, Any]:
    folder = f"candidates/{name}"
    with scratch() as place:
        bare = save_stripped(graph, place / "graph.onnx")
        files[f"{folder}/graph.onnx"] = (place / "graph.onnx").read_bytes()
    files[f"{folder}/parity.npz"] = parity_file(bare, inputs)
    return {
        "name": name,
        "precision": precision,
        "rest": rest,
        "graph": f"{folder}/graph.onnx",
        "graph_sha256": bare.sha256,
        "parity": f"{folder}/parity.npz",
        "reasons": dict(reasons),
        "typed": holds_half(graph),
        "candidate": True,
        "wide": list(wide_nodes(graph)),
    }


def _reasons(run: Run, name: str) -> dict[str, str]:
    """Layer name to why it stayed float, as the run's report has it."""
    return {layer.name: layer.reason for layer in run.report.engine(name).layers if layer.reason}


def _manifest(
    run: Run,
    target: Target,
    runs_on: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    images: bool,
) -> dict[str, Any]:
    report, gate = run.report, run.gate()
    model = report.model
    where = f", JetPack {runs_on['jetpack']}" if runs_on.get("jetpack") else ""
    reference = {**asdict(report.reference), "backend": report.reference.backend or UNKNOWN} if images else {}
    return {
        "schema": SCHEMA,
        "title": f"{model.name} for {target.title}{where}",
        "backend": target.backend,
        "target": target.to_json(),
        "runs_on": dict(runs_on),
        "model": {**asdict(model), "source": "bundle"},
        "task": run.source.task.to_table(),
        "gate": {**asdict(gate), "name": gate.name if gate.name in presets() else "custom"} if gate else {},
        "data": dict(data),
        "reference": reference,
        "versions": {"segedge": __version__, **_versions(run)},
        "candidates": list(candidates),
    }


def _versions(run: Run) -> dict[str, str]:
    """Of what made and referenced the graphs; nothing about the workstation itself."""
    known = ("onnx", "onnxruntime", "openvino", "tensorrt", "torch", "numpy")
    versions = run.report.environment.get("versions") or {}
    return {name: str(versions[name]) for name in known if name in versions}
