"""Volumes: memory from 10 to 1 000 slices, and what ``edge segment`` keeps of its engine's speed.

    python -m benchmarks.volumes memory --out benchmarks/results/volumes-memory.json
    python -m benchmarks.volumes speed models/litenext models/unet --out benchmarks/results/volumes-speed.json

``memory`` runs ``edge check``, ``segment`` and ``deploy`` on made-up CT volumes, each in a process of its own, and
compares peaks of resident memory; it exits with 1 where more slices took more than 50 MB more. ``speed`` segments one
CT of 512 x 512 pixels in turn with bare runs of the same engine on as many inputs, and exits with 1 under 0.8.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends import find_backend
from edge.backends.engine import read_engine
from edge.files import write_json
from edge.graph.model import Model
from edge.images.case import Case
from edge.images.shelf import Shelf
from edge.pipeline.segment import segment_images
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask

MOST_GROWTH_MB = 50.0
LEAST_SHARE = 0.8
WINDOW = {"center": 40, "width": 400}
FAST = ("--gate", "none", "--precisions", "fp32,int8", "--seconds", "0.02", "--budget", "1", "--allow-small")


@dataclass(frozen=True)
class Peak:
    """One command on one volume.

    Attributes:
        command: of edge.
        slices: of the volume it ran on.
        megabytes: largest resident set of the process.
        seconds: it took.
    """

    command: str
    slices: int
    megabytes: float
    seconds: float


@dataclass(frozen=True)
class Speed:
    """One engine on one volume.

    Attributes:
        model: it was built from.
        slices: of the volume.
        engine_per_second: inputs a second, back to back, median of the rounds.
        segment_per_second: slices a second of ``edge segment``, file to file, likewise.
        share: of the engine's own speed that is kept, median over the rounds of both, taken in turn.
        rounds: how many.
    """

    model: str
    slices: int
    engine_per_second: float
    segment_per_second: float
    share: float
    rounds: int


def write_ct(folder: Path, name: str, depth: int, side: int, seed: int) -> tuple[Path, Path]:
    """A CT-like volume in Hounsfield units with a bright ball in every slice, and its mask, as ``.nii.gz``."""
    import nibabel

    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:side, :side]
    values = np.empty((side, side, depth), np.int16)
    mask = np.empty((side, side, depth), np.uint8)
    for index in range(depth):
        inside = (x - side / 2 - 20 * np.sin(index / 9)) ** 2 + (y - side / 2) ** 2 < (
            side / 6 + 8 * np.cos(index / 15)
        ) ** 2
        values[..., index] = (rng.normal(-60, 25, inside.shape) + inside * 180).astype(np.int16)
        mask[..., index] = inside
    affine = np.diag([-0.7, -0.7, 2.0, 1.0])
    paths = folder / f"{name}.nii.gz", folder / f"{name}-mask.nii.gz"
    for path, array in zip(paths, (values, mask), strict=True):
        nibabel.save(nibabel.Nifti1Image(array, affine, dtype=array.dtype), path)
    return paths


def ball_network(side: int) -> Model:
    """Brightness of 3 x 3 windows against one half: as small as a network can be, so that memory is the product's."""
    import onnx
    import onnx.helper as oh

    weights = {
        "w": np.full((4, 1, 3, 3), 1 / 9, np.float32),
        "b": np.full(4, -0.5, np.float32),
        "h": np.full((1, 4, 1, 1), 5, np.float32),
    }
    nodes = [
        oh.make_node("Conv", ["image", "w", "b"], ["a"], "first/Conv", kernel_shape=[3, 3], pads=[1] * 4),
        oh.make_node("Conv", ["a", "h"], ["output"], "head/Conv", kernel_shape=[1, 1]),
    ]
    shape = [1, 1, side, side]
    graph = oh.make_graph(
        nodes,
        "ball",
        [oh.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)],
        [oh.make_tensor_value_info("output", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    proto = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=9)
    task = SegmentationTask(
        size=(side, side),
        channels="grey",
        scale=1.0,
        intensity=Intensity(window=(WINDOW["center"], WINDOW["width"])),
        classes=("ball",),
    )
    return Model(proto, task, "ball", "ball.onnx")


def memory(commands: Sequence[str], slices: Sequence[int], side: int) -> list[Peak]:
    """Every command on every number of slices, one after the other."""
    peaks = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        ball_network(side).save(root / "net.onnx")
        for count in slices:
            data = root / str(count)
            data.mkdir()
            rows = [
                f"{image.name},{mask.name},{split}"
                for split, depth, seed in (("train", 12, 0), ("val", 12, 1), ("test", count, 2))
                for image, mask in [write_ct(data, split, depth, side, seed)]
            ]
            (data / "manifest.csv").write_text("\n".join(["image,mask,split", *rows]) + "\n")
        few = root / str(slices[0])
        build = ("build", "net.onnx", "--data", few, "--target", "cpu", "--precision", "fp32", "--out", "engine")
        peak_of(root, *build)
        for command in commands:
            for count in slices:
                data = root / str(count)
                words: dict[str, tuple[object, ...]] = {
                    "check": ("engine", "--data", data, "--reference", "net.onnx", "--gate", "none", "--allow-small"),
                    "segment": ("engine", data / "test.nii.gz", "--out", root / f"masks-{count}"),
                    "deploy": ("net.onnx", "--data", data, "--out", root / f"run-{count}", *FAST),
                }
                megabytes, seconds = peak_of(root, command, *words[command])
                peaks.append(Peak(command, count, megabytes, seconds))
                print(f"{command:8} {count:5} slices: {megabytes:6.0f} MB, {seconds:.1f} s", flush=True)
    return peaks


def peak_of(folder: Path, *words: object) -> tuple[float, float]:
    """Megabytes and seconds of one command of edge, which must not fail."""
    start, kilobytes = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        line = [sys.executable, "-m", "edge.cli.app", *map(str, words)]
        process = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)
        while process.poll() is None:  # the mark only rises, and unlike getrusage's it is not inherited from us
            kilobytes = max(kilobytes, _high_water(process.pid))
            time.sleep(0.05)
        if process.returncode not in (0, 1):  # 1: no verdict was asked for
            said.seek(0)
            raise SystemExit(f"edge {words[0]} ended with {process.returncode}: {said.read().decode()[-2000:]}")
    return round(kilobytes / 1024, 1), round(time.perf_counter() - start, 2)


def _high_water(process: int) -> int:
    """Kilobytes of the largest process of a tree: edge works in a child that it watches."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0
    own = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    return max([own, *(_high_water(int(child)) for child in children)])


def speed(model: str, depth: int, rounds: int) -> Speed:
    """An engine of a model folder, its task given a window and 512 x 512 pixels, against ``edge segment`` with it."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        engine = _engine_for_ct(model, root)
        image, _ = write_ct(root, "ct", depth, 512, 3)
        with closing(find_backend(engine.backend).load(engine)) as runner:
            case = Case("ct", (image,), (), volume=True, shelf=Shelf())
            given = [engine.task.preprocess(case.plane(i, "ct", engine.task))[None] for i in range(min(depth, 4))]

            def bare() -> None:
                for index in range(depth):
                    runner.run(given[index % len(given)])

            def with_files() -> None:
                segment_images(runner, engine.task, [image], root / "out")

            pairs = [(_seconds(bare), _seconds(with_files)) for _ in range(rounds)]
    alone, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
    share = round(statistics.median(a / b for a, b in pairs), 3)
    return Speed(Path(model).name, depth, round(depth / alone, 2), round(depth / whole, 2), share, rounds)


def _engine_for_ct(model: str, root: Path) -> Any:
    from edge.loading import load_model
    from edge.loading.folder import read_folder

    described = read_folder(Path(model))
    table = {**described.task.to_table(), "size": [512, 512], "scale": 1.0, "intensity": {"window": WINDOW}}
    task = SegmentationTask.from_table(table, model)
    load_model(model, None, task).save(root / "net.onnx")
    data = root / "data"
    data.mkdir()
    rows = [
        f"{image.name},{mask.name},{split}"
        for seed, split in enumerate(("train", "val", "test"))
        for image, mask in [write_ct(data, split, 2, 512, seed)]
    ]
    (data / "manifest.csv").write_text("\n".join(["image,mask,split", *rows]) + "\n")
    peak_of(root, "build", "net.onnx", "--data", data, "--target", "cpu", "--precision", "fp32", "--out", "engine")
    return read_engine(root / "engine")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def growths(peaks: Sequence[Peak]) -> dict[str, float]:
    """Megabytes that the most slices took over the fewest, by command."""
    return {
        command: round(max(rows, key=lambda p: p.slices).megabytes - min(rows, key=lambda p: p.slices).megabytes, 1)
        for command in dict.fromkeys(p.command for p in peaks)
        for rows in [[p for p in peaks if p.command == command]]
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volumes", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("memory")
    one.add_argument("commands", nargs="*", default=["check", "segment", "deploy"])
    one.add_argument("--slices", type=int, nargs="+", default=[10, 1000])
    one.add_argument("--side", type=int, default=256)
    other = kinds.add_parser("speed")
    other.add_argument("models", nargs="+")
    other.add_argument("--depth", type=int, default=200)
    other.add_argument("--rounds", type=int, default=5)
    for each in (one, other):
        each.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.kind == "memory":
        peaks = memory(arguments.commands, arguments.slices, arguments.side)
        found = growths(peaks)
        result: dict[str, Any] = {"side": arguments.side, "peaks": [asdict(p) for p in peaks], "growth_mb": found}
        passed = max(found.values()) <= MOST_GROWTH_MB
    else:
        rows = [speed(model, arguments.depth, arguments.rounds) for model in arguments.models]
        result = {"size": [512, 512], "engines": [asdict(row) for row in rows]}
        passed = min(row.share for row in rows) >= LEAST_SHARE
    print(json.dumps(result, indent=1))
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
