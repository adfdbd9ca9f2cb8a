"""What each step of INT8 calibration gains, beside other tools' INT8: ``python -m benchmarks.ptq RUN...``.

A RUN is a folder of ``edge deploy ... --target cpu``: its source graph goes to the peers; its rewritten graph, its
ranges and what its float model made of the test images serve every row. ``openvino`` rows are run by OpenVINO as on
the CPU, with FP32 for the rest; ``tensorrt`` rows by ONNX Runtime, the simulation of a device: a graph that TensorRT
refuses for its zero points is an error there. Nothing is timed but the process seconds that a row's technique takes
beside calibration itself, so load does not matter.

A row is written as soon as it is made, and one that is in the results already (of the same graph) is not made again. A
table goes beside the JSON.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.peers import quantized
from benchmarks.peers.arguments import add_pythons
from benchmarks.peers.builders import Run, run_openvino
from benchmarks.peers.setting import Setting
from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import judge, load_gate
from edge.backends.session import OnnxRuntimeRunner, open_session
from edge.errors import InputError
from edge.files import read_json, sha256_file, write_json, write_text
from edge.graph.model import Model, read_model
from edge.images.image_set import ImageSet, load_image_set
from edge.machine.cores import physical_cores
from edge.machine.environment import environment
from edge.machine.machine import read_machine
from edge.quantization.bias import correct_biases, measure_shifts
from edge.quantization.calibrate import calibrate
from edge.quantization.output_error import OutputError
from edge.quantization.ranges import COARSE, FINE, Ranges, read_ranges
from edge.quantization.refine import drop_what_does_not_help
from edge.quantization.schemes import SCHEMES, Scheme, openvino_scheme, plan_int8
from edge.quantization.write import quantize
from edge.report.store import OUTPUTS

SCHEMA = "edge.ptq/1"
DIALECTS = ("openvino", "tensorrt")
PEERS: Mapping[str, str] = {"nncf": "xml", "modelopt": "onnx", "aimet": "onnx"}
"""Tool to the suffix of its graph."""
VARIANTS: Mapping[tuple[str, str], str] = {("tensorrt", "aimet"): "symmetric"}
"""Dialect and tool to what its script is asked for, where its usual graph is none that the compiler takes."""

_COLUMNS = ("Dice retained", "IoU retained", "agreement", "SQNR, dB", "passes `99.9`", "process s")
_CALIBRATION_IMAGES = 64
_BIAS_IMAGES = 16
_HELD_EVERY = 8


@dataclass(frozen=True)
class Case:
    """One network under one dialect.

    Attributes:
        run: folder of a deployment.
        dialect: of :data:`DIALECTS`.
        data: its image set.
        scratch: for graphs, kept from run to run.
        pythons: interpreter of each peer.
        again: calibrate by the code as it is, instead of taking the deployment's ranges.
    """

    run: Path
    dialect: str
    data: ImageSet
    scratch: Path
    pythons: Mapping[str, str]
    again: bool = False

    @property
    def network(self) -> str:
        return self.run.name

    @cached_property
    def model(self) -> Model:
        """The rewritten float graph that was calibrated."""
        return read_model(self.run / "engines" / "fp32" / "graph.onnx")

    @cached_property
    def ranges(self) -> Ranges:
        if self.again:
            return calibrate(self.model, self.calibration(_CALIBRATION_IMAGES), scheme=self.scheme)
        return read_ranges(self.run / "ranges.json")

    @cached_property
    def scheme(self) -> Scheme:
        machine = read_machine()
        return openvino_scheme(machine.architecture, machine.isa) if self.dialect == "openvino" else SCHEMES["tensorrt"]

    @cached_property
    def images(self) -> ImageSet:
        return self.data.split("test")

    @cached_property
    def truth(self) -> Evaluation:
        """The float model over the test images, as the deployment kept it."""
        with np.load(self.run / OUTPUTS) as kept:
            outputs = dict(zip(kept["names"].tolist(), kept["outputs"], strict=True))
        order = iter([sample.name for sample in self.images])
        return evaluate(lambda _: outputs[next(order)][None], self.images, self.model.task)

    @cached_property
    def uniform(self) -> Ranges:
        """One step for all channels of a tensor."""
        return self.ranges.uniform(COARSE).uniform(FINE)

    def calibration(self, count: int) -> list[np.ndarray]:
        """So many training images as the network takes them."""
        task = self.model.task
        return [task.preprocess(sample.pixels())[None] for sample in self.data.split("train").spread(count)]

    def written(self, ranges: Ranges) -> Model:
        return quantize(self.model, ranges, plan_int8(self.model, self.scheme), self.scheme)

    def execute(self, path: Path) -> Run:
        """A graph under the dialect's runtime."""
        if self.dialect == "openvino":
            return run_openvino(self.setting, path, "f32")
        try:
            return self._runner(path, optimize=True).run
        except InputError:  # its optimizer fails on AIMET's LiteNeXt, which it runs as written
            return self._runner(path, optimize=False).run

    def _runner(self, path: Path, optimize: bool) -> OnnxRuntimeRunner:
        threads = self.setting.threads
        session = open_session(path.read_bytes(), threads, optimize, where=str(path))
        return OnnxRuntimeRunner(session, self.setting.output, threads, optimize)

    @cached_property
    def setting(self) -> Setting:
        """What the peers are told."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        images = self.scratch / "calibration.npy"
        if not images.is_file():
            np.save(images, np.concatenate(self.calibration(_CALIBRATION_IMAGES)))
        source, folder = self.run / "source.onnx", self.scratch
        output, threads = self.model.output_name, physical_cores()
        return Setting("", "", source, output, images, folder, folder, folder, threads, self.pythons, reuse=True)


def plain(case: Case) -> Model:
    """One step for each tensor, clipped where its readers' outputs suffer least."""
    return case.written(case.uniform)


def channel_steps(case: Case) -> Model:
    """A step for each channel, where images that did not choose them show less error at the output."""
    return case.written(_stepped(case))


def corrected(case: Case) -> Model:
    """Plain, and the shift of each convolution's mean taken back."""
    return _corrected(case, case.uniform)


def everything(case: Case) -> Model:
    """All of these."""
    return _corrected(case, _stepped(case))


TECHNIQUES: Mapping[str, Callable[[Case], Model]] = {
    "plain": plain,
    "channel steps": channel_steps,
    "bias correction": corrected,
    "all": everything,
}


def _stepped(case: Case) -> Ranges:
    if case.again or case.dialect == "openvino":
        return case.ranges  # the calibration has decided
    held = case.calibration(8 * _HELD_EVERY)[_HELD_EVERY - 1 :: _HELD_EVERY]
    return drop_what_does_not_help([case.ranges], OutputError(case.model, case.scheme, held))


def _corrected(case: Case, ranges: Ranges) -> Model:
    scheme = replace(case.scheme, shared=False)  # shifts are measured with Q/DQ on the operands themselves
    local = quantize(case.model, ranges, plan_int8(case.model, scheme), scheme)
    return correct_biases(case.written(ranges), measure_shifts(case.model, local, case.calibration(_BIAS_IMAGES)))


def main() -> None:
    arguments = _parse()
    kept = read_json(arguments.out) if arguments.out.is_file() else {"rows": []}
    rows = {(row["network"], row["dialect"], row["technique"]): row for row in kept["rows"]}
    data = load_image_set(arguments.data)
    for dialect in arguments.dialects:
        for run in arguments.runs:
            case = Case(run, dialect, data, arguments.scratch / run.name, dict(arguments.python), arguments.calibrate)
            of = sha256_file(run / "engines" / "fp32" / "graph.onnx")
            for technique in (*arguments.techniques, *dict(arguments.python)):
                key = (case.network, dialect, technique)
                if key in rows and rows[key]["graph_sha256"] == of:
                    continue
                row = {"network": case.network, "dialect": dialect, "technique": technique, "graph_sha256": of}
                rows[key] = {**row, **measure(case, technique)}
                ordered = sorted(rows.values(), key=_order)
                write_json(arguments.out, {"schema": SCHEMA, "rows": ordered, "environment": environment()})
                write_text(arguments.out.with_suffix(".md"), table(ordered))
                print(table([rows[key]]).splitlines()[-1], flush=True)


def measure(case: Case, technique: str) -> dict[str, Any]:
    """One row: a technique of ours, or a peer."""
    try:
        if technique in TECHNIQUES:
            case.ranges  # noqa: B018, calibration itself is no technique's time
        start = time.process_time()
        if technique in TECHNIQUES:
            path = TECHNIQUES[technique](case).save(case.setting.scratch / f"{case.dialect}.onnx")
        else:
            path = quantized.elsewhere(
                case.setting, technique, PEERS[technique], VARIANTS.get((case.dialect, technique), "")
            )
        if case.dialect == "tensorrt":
            require_symmetric(path)
        seconds = time.process_time() - start
        accuracy = compare(evaluate(case.execute(path), case.images, case.model.task), case.truth)
    except Exception as error:  # a tool that fails is the row's result
        return {"error": (str(error).strip().splitlines() or ["no message"])[0]}
    verdict = judge(load_gate("99.9"), accuracy, "int8", "fp32")
    return {
        "dice_retained": accuracy.dice.retained,
        "iou_retained": accuracy.iou.retained,
        "agreement": accuracy.agreement,
        "sqnr_db": accuracy.sqnr_db,
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "images": len(case.images),
        "cpu_seconds": round(seconds, 1) if technique in TECHNIQUES else None,
    }


def require_symmetric(path: Path) -> None:
    """Refuse what TensorRT refuses.

    Raises:
        ValueError: a quantization of the graph has a zero point that is not 0, or an unsigned grid.
    """
    graph = onnx.load(path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    zeros = [
        weights[n.input[2]]
        for n in graph.node
        if n.op_type == "QuantizeLinear" and n.input[2:3] and n.input[2] in weights
    ]
    wrong = sum(zero.data_type != onnx.TensorProto.INT8 or bool(numpy_helper.to_array(zero).any()) for zero in zeros)
    if wrong:
        raise ValueError(f"{wrong} of {len(zeros)} grids are not signed with zero point 0: TensorRT refuses the graph")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line for each row."""
    lines = [f"| network | dialect | technique | {' | '.join(_COLUMNS)} |", f"|{' --- |' * (3 + len(_COLUMNS))}"]
    for row in rows:
        head = f"| {row['network']} | {row['dialect']} | {row['technique']} |"
        if "error" in row:
            lines.append(f"{head} {row['error'][:160]} |{' |' * (len(_COLUMNS) - 1)}")
            continue
        figures = f"{row['dice_retained']:.4f} | {row['iou_retained']:.4f} | {row['agreement']:.4f}"
        seconds = "" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.1f}"
        lines.append(f"{head} {figures} | {row['sqnr_db']:.1f} | {'yes' if row['passed'] else 'no'} | {seconds} |")
    return "\n".join([*lines, ""])


def _order(row: Mapping[str, Any]) -> tuple[str, int, int]:
    names = (*TECHNIQUES, *PEERS)
    return row["network"], DIALECTS.index(row["dialect"]), names.index(row["technique"])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ptq", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders of edge deploy --target cpu")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ptq.json"))
    parser.add_argument("--calibrate", action="store_true", help="anew, by the code as it is, not as the run did")
    parser.add_argument("--scratch", type=Path, default=Path("out/ptq"), help="peers' graphs go here, and stay")
    parser.add_argument("--dialects", type=lambda text: text.split(","), default=list(DIALECTS))
    parser.add_argument("--techniques", type=lambda text: text.split(","), default=list(TECHNIQUES))
    add_pythons(parser, PEERS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
