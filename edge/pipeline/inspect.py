"""What a file or folder is, told from what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError
from edge.files import read_json

if TYPE_CHECKING:
    import onnx

Description = dict[str, Any]


def describe(path: Path) -> Description:
    """Kind and facts of a model, engine, run, bundle, ranges, plan, or image set.

    Raises:
        InputError: nothing there, damaged, or not one of ours.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    for matches, description in _KINDS:
        if matches(path):
            return description(path)
    raise InputError(f"{path}: is neither a model, engine, run, bundle, ranges, plan, nor an image set")


def _engine(path: Path) -> Description:
    from edge.backends.engine import read_engine

    engine = read_engine(path)
    return {
        "kind": "engine",
        **engine.summary(),
        "name": engine.name,
        "rest": engine.rest,
        "target": engine.target,
        "runs_on": dict(engine.runs_on),
        "versions": dict(engine.versions),
        "signature": _signature(path),
        "task": engine.task.to_table(),
    }


def _run(path: Path) -> Description:
    from edge.report.store import read_report

    report = read_report(path)
    return {
        "kind": "run",
        "status": report.status,
        "model": report.model.name,
        "target": report.target["name"],
        "chosen": report.chosen,
        "engines": [row.name for row in report.engines],
        "command": report.command,
        "signature": _signature(path),
    }


def _onnx(path: Path) -> Description:
    from edge.graph.macs import graph_macs
    from edge.graph.model import carries_task, graph_inputs, model_of, opset, quantized
    from edge.loading.onnx_file import read_onnx

    proto = read_onnx(path)
    shapes = {
        kind: {value.name: " x ".join(_dims(value)) for value in values}
        for kind, values in (("inputs", graph_inputs(proto)), ("outputs", proto.graph.output))
    }
    described = {
        "kind": "model",
        "opset": opset(proto),
        "macs": graph_macs(proto),
        **shapes,
        **({"quantized": "Q/DQ: built as its author's INT8; --dequantize strips it back"} if quantized(proto) else {}),
        "operators": dict(Counter(node.op_type for node in proto.graph.node).most_common()),
    }
    if not carries_task(proto):
        needs = f"none: edge deploy needs --task task.toml (edge init {path} > task.toml to start from)"
        return {**described, "task": needs}
    model = model_of(proto, path)
    facts = {"name": model.name, "sha256": model.sha256, "facts": dict(model.facts or {})}
    return {**described, **facts, "task": model.task.to_table()}


def _dims(value: onnx.ValueInfoProto) -> list[str]:
    return [str(d.dim_value or d.dim_param or "?") for d in value.type.tensor_type.shape.dim]


def _model_folder(path: Path) -> Description:
    from edge.loading.folder import read_folder

    folder = read_folder(path)
    return {
        "kind": "model folder",
        "name": folder.name,
        "checkpoint": str(folder.checkpoint),
        "options": dict(folder.options),
        "task": folder.task.to_table(),
        "paper": dict(folder.paper),
    }


def _image_set(path: Path) -> Description:
    from edge.images.image_set import load_image_set

    images = load_image_set(path)
    return {
        "kind": "image set",
        "name": images.name,
        "images": len(images),
        "splits": dict(Counter(sample.split for sample in images)),
        "columns": sorted({column for sample in images for column in sample.columns}),
    }


def _json(path: Path) -> Description:
    table = read_json(path)
    schema = table.get("schema", "") if isinstance(table, dict) else ""
    if not str(schema).startswith("edge."):
        raise InputError(f"{path}: is JSON, but not one of ours (no edge schema); check the path")
    sizes = {key: len(value) for key, value in table.items() if isinstance(value, dict | list)}
    return {"kind": schema, **{key: value for key, value in table.items() if key not in sizes}, "entries": sizes}


def _bundle(path: Path) -> Description:
    from edge.pipeline.verify import describe

    return {"kind": "bundle", "title": describe(path), "signature": _signature(path)}


def _signature(path: Path) -> str:
    """Who says to have signed it. Nothing is checked: that is for those who name a key that they trust."""
    from edge.trust.signature import signer

    key = signer(path)
    return "none" if key is None else f"by key {key}, not checked here"


_KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Description]], ...] = (
    (lambda p: (p / "engine.json").is_file(), _engine),
    (lambda p: (p / "report.json").is_file(), _run),
    (lambda p: (p / "model.toml").is_file(), _model_folder),
    (lambda p: (p / "manifest.csv").is_file() or (p / "images").is_dir(), _image_set),
    (lambda p: p.name.endswith(".tar.gz") or (p / "manifest.json").is_file(), _bundle),
    (lambda p: p.suffix == ".onnx", _onnx),
    (lambda p: p.suffix == ".json", _json),
)
