"""Surfaces of files: graphs, weights, tasks, pictures, arrays, engines, reports and bundles."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from edge.storage.binding import BLANK, bind
from tests.fixtures import forge
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.report_example import example
from tests.fixtures.runtime_kit import make_engine
from tests.fuzz.mutate import mutated_bytes, mutated_json, mutated_onnx
from tests.fuzz.surface import Surface


def surfaces(place: Path) -> list[Surface]:
    """Doors of files; ``place`` is a folder for what lies beside the damaged ones."""
    return [*_graphs(place), *_texts(place), *_pictures(place), *_folders(place), *_archives(place), *_weights(place)]


def _graphs(place: Path) -> list[Surface]:
    from edge.graph.model import read_model
    from edge.loading.onnx_file import load_onnx

    sound = disc_network().save(place / "discs.onnx").read_bytes()
    return [
        Surface("onnx bytes", 3, {"net.onnx": sound}, mutated_bytes, lambda path: load_onnx(path, TASK)),
        Surface("onnx fields", 4, {"net.onnx": sound}, mutated_onnx, lambda path: load_onnx(path, TASK)),
        Surface("onnx with its own task", 2, {"net.onnx": sound}, mutated_onnx, read_model),
    ]


def _texts(place: Path) -> list[Surface]:
    from edge.accuracy.gate import load_gate
    from edge.images.image_set import load_image_set
    from edge.quantization.plan import PrecisionPlan, read_plan
    from edge.quantization.ranges import read_ranges
    from edge.task.load import load_task

    clip = {"amax": 1.0, "method": "mse", "candidates": {"mse": 1.0}}
    tensor = {"low": -1.0, "high": 1.0, "count": 4, "zeros": 0.0, "coarse": clip, "fine": clip}
    convergence = {"images": [1, 2], "median": [0.1, 0.0], "worst": [0.2, 0.0]}
    ranges = {"schema": "edge.ranges/1", "tensors": {"a": tensor}, "images": 2, "graph_sha256": "0" * 64}
    plan = PrecisionPlan({"a": "int8", "b": "float"}, {"b": "first"}).save(place / "plan.json").read_bytes()
    task = b'[task]\nsize = [32, 32]\nmean = [0.5, 0.5, 0.5]\nclasses = ["a", "b"]\nactivation = "softmax"\n'
    gate = b"[dice]\nretained = 0.99\n[image]\nworst_drop = 0.1\n"
    discs = write_discs(place / "discs", {"train": 2, "val": 1, "test": 1})
    return [
        Surface("task", 3, {"task.toml": task}, mutated_bytes, load_task),
        Surface("gate", 1, {"gate.toml": gate}, mutated_bytes, lambda path: load_gate(str(path))),
        Surface("plan", 1, {"plan.json": plan}, mutated_json, read_plan),
        Surface(
            "ranges",
            2,
            {"ranges.json": json.dumps({**ranges, "convergence": convergence}).encode()},
            mutated_json,
            read_ranges,
        ),
        Surface(
            "image set",
            2,
            {"manifest.csv": (discs / "manifest.csv").read_bytes()},
            mutated_bytes,
            lambda path: load_image_set(path.parent).sha256(),
            discs,
        ),
    ]


def _pictures(place: Path) -> list[Surface]:
    from edge.device.pictures import supplied
    from edge.images.pictures import read_image

    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    seeds = {}
    for name, form, mode in (
        ("a.png", "PNG", "RGB"),
        ("b.png", "PNG", "P"),
        ("c.jpg", "JPEG", "RGB"),
        ("d.tif", "TIFF", "L"),
        ("e.bmp", "BMP", "RGB"),
    ):
        stream = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(stream, form)
        seeds[name] = stream.getvalue()
    array = io.BytesIO()
    np.save(array, pixels)
    boards = {**seeds, "f.npy": array.getvalue(), "g.ppm": b"P6 20 24 255\n" + pixels.tobytes()}
    return [
        Surface("pictures", 6, seeds, mutated_bytes, read_image),
        Surface("pictures on a board", 3, boards, mutated_bytes, lambda path: supplied(path.parent, TASK)),
    ]


def _folders(place: Path) -> list[Surface]:
    from edge.backends.engine import read_engine
    from edge.report.store import read_report
    from edge.report.write import write_merged

    engine = make_engine(place / "engine", TASK).folder
    run = place / "run"
    run.mkdir()
    report = json.dumps(example().report.to_json()).encode()
    (run / "report.json").write_bytes(report)

    def rebound(data: bytes, rng: random.Random) -> bytes:
        changed = json.loads(mutated_json(data, rng))  # what does not parse is for the bytes' surface
        if isinstance(changed, dict):
            changed["binding"] = BLANK
        text = json.dumps(changed, indent=1).encode()
        return bind(text) if text.count(b'"binding": "') == 1 else text

    def soundly_rebound(data: bytes, rng: random.Random) -> bytes:
        try:
            return rebound(data, rng)
        except (ValueError, RecursionError):
            return mutated_bytes(data, rng)

    def both(path: Path) -> object:
        read_report(path.parent)
        return write_merged([path.parent], path.parent.parent / "merged" / "all.html")

    sound = (engine / "engine.json").read_bytes()
    return [
        Surface(
            "engine",
            3,
            {"engine.json": sound},
            soundly_rebound,
            lambda path: read_engine(path.parent).summary(),
            engine,
        ),
        Surface("report", 2, {"report.json": report}, mutated_json, both, run),
    ]


def _archives(place: Path) -> list[Surface]:
    from edge.bundle.archive import unpack
    from edge.storage.arrays import read_arrays

    text = forge.manifest()
    whole = forge.archive(forge.head(text), forge.body())
    stream = io.BytesIO()
    np.savez_compressed(stream, names=np.array(["a", "b"]), outputs=np.zeros((2, 1, 8, 8), np.float32))

    def resealed(_: bytes, rng: random.Random) -> bytes:
        changed = mutated_json(text, rng)
        return forge.archive(forge.head(changed), forge.body())

    def open_bundle(path: Path) -> object:
        return unpack(path, path.parent / "unpacked")

    return [
        Surface("bundle bytes", 2, {"kit.tar.gz": whole}, mutated_bytes, open_bundle),
        Surface("bundle manifest", 3, {"kit.tar.gz": whole}, resealed, open_bundle),
        Surface(
            "arrays",
            4,
            {"reference.npz": stream.getvalue()},
            mutated_bytes,
            lambda path: read_arrays(path, ("names", "outputs"), "deploy again"),
        ),
    ]


def _weights(place: Path) -> list[Surface]:
    import torch
    from safetensors.torch import save_file

    from edge.loading.weights import load_weights

    network = torch.nn.Linear(3, 2)
    save_file(network.state_dict(), place / "w.safetensors")
    torch.save(network.state_dict(), place / "w.pt")
    return [
        Surface(
            "weights",
            4,
            {name: (place / name).read_bytes() for name in ("w.safetensors", "w.pt")},
            mutated_bytes,
            lambda path: load_weights(path, network),
        )
    ]
