"""What each step of INT8 calibration gains: ``python -m benchmarks.ptq --out FILE.json MODEL...``.

For each network and dialect: the plain INT8 graph with one step for each tensor and with those steps for each channel
that calibration keeps, run by ONNX Runtime (the simulation of a device), scored on the test images. The task is the
model's own, or ``task.toml`` beside an ONNX file. Rewrites are the safe ones. A table goes beside the JSON.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import judge, load_gate
from edge.backends.onnxruntime import optimized
from edge.files import write_json, write_text
from edge.fusion import fuse
from edge.graph.model import Model
from edge.images.image_set import ImageSet, load_image_set
from edge.loading import load_model
from edge.machine.environment import environment
from edge.quantization.calibrate import calibrate
from edge.quantization.ranges import COARSE, FINE
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize

DIALECTS = ("openvino", "tensorrt")
_COLUMNS = ("Dice retained", "IoU retained", "agreement", "SQNR, dB", "passes `99.9`")


def main() -> None:
    arguments = _parse()
    data = load_image_set(arguments.data)
    rows: list[dict[str, Any]] = []
    for path in arguments.models:
        rows += measure(path, data, arguments.calibration_images, arguments.test_images)
        write_json(arguments.out, {"rows": rows, "environment": environment()})
        write_text(arguments.out.with_suffix(".md"), table(rows))
        print(table(rows[-2 * len(DIALECTS) :]), flush=True)


def measure(path: Path, data: ImageSet, calibration: int, test: int | None) -> list[dict[str, Any]]:
    """Two rows for each dialect of one network."""
    task = path.with_name("task.toml") if path.suffix == ".onnx" else None
    source = load_model(str(path), None, task if task is not None and task.is_file() else None)
    proof = [source.task.preprocess(sample.pixels())[None] for sample in data.split("val").spread(2)]
    model = fuse(source, None, proof).model
    images = data.split("test") if test is None else data.split("test").spread(test)
    truth = evaluate(optimized(source).run, images, source.task)
    name = path.parent.name if path.suffix == ".onnx" else path.name
    rows = []
    for dialect in DIALECTS:
        scheme, start = SCHEMES[dialect], time.process_time()
        inputs = (source.task.preprocess(sample.pixels())[None] for sample in data.split("train").spread(calibration))
        ranges = calibrate(model, inputs, scheme=scheme)
        seconds = time.process_time() - start
        for steps, found in (("tensor", ranges.uniform(COARSE).uniform(FINE)), ("channel", ranges)):
            graph = quantize(model, found, plan_int8(model, scheme), scheme)
            row = {"network": name, "dialect": dialect, "steps": steps, "calibration_cpu_seconds": round(seconds, 1)}
            rows.append({**row, **_scores(graph, images, truth)})
    return rows


def _scores(graph: Model, images: ImageSet, truth: Evaluation) -> dict[str, Any]:
    accuracy = compare(evaluate(optimized(graph).run, images, graph.task), truth)
    return {
        "dice_retained": accuracy.dice.retained,
        "iou_retained": accuracy.iou.retained,
        "agreement": accuracy.agreement,
        "sqnr_db": accuracy.sqnr_db,
        "passed": judge(load_gate("99.9"), accuracy, "int8", "fp32").passed,
        "divided": sum(node.name.endswith("_divided") for node in graph.proto.graph.node),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line for each row."""
    lines = [
        f"| network | dialect | a step for each | tensors divided | {' | '.join(_COLUMNS)} |",
        f"|{' --- |' * (4 + len(_COLUMNS))}",
    ]
    for row in rows:
        figures = f"{row['dice_retained']:.4f} | {row['iou_retained']:.4f} | {row['agreement']:.4f}"
        lines.append(
            f"| {row['network']} | {row['dialect']} | {row['steps']} | {row['divided']} | {figures} | "
            f"{row['sqnr_db']:.1f} | {'yes' if row['passed'] else 'no'} |"
        )
    return "\n".join([*lines, ""])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ptq", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="model folders or ONNX files")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ptq.json"))
    parser.add_argument("--calibration-images", type=int, default=64)
    parser.add_argument("--test-images", type=int, help="of test, evenly spread; default all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
