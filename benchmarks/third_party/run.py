"""Other people's networks through every stage: ``python -m benchmarks.third_party.run --out FILE.json [NAME ...]``.

Each network is loaded (exported, normalised), fused, built in FP32, BF16 and INT8 and compared with ONNX Runtime on the
same graph (parity) and with its float source (SQNR); then lowered for every TensorRT from 8.5 to 11 and compiled by
TensorRT for RTX in FP16 and INT8. Weights are random: SQNR says little, a stage that fails or a compiler that computes
something else says much. A table goes beside the JSON, which ``--resume`` goes on
with. Needs the environment of ``requirements.txt``.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.third_party.networks import NETWORKS, Network, warmed
from edge.accuracy.gate import parity_bar, parity_needed
from edge.accuracy.sqnr import clipped_sqnr_db, parity_db
from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import optimized, reference
from edge.backends.tensorrt.rtx import TensorRtRtx
from edge.files import read_json, write_json
from edge.fusion import fuse
from edge.graph.model import Model
from edge.loading import load_model
from edge.lowering import lower
from edge.machine.environment import environment
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half_range import watched
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.dialect import GraphRequest, TensorRtDialect
from edge.search.open_bench import open_bench
from edge.targets.target import find_target
from edge.task.noise import noise_batch

SCHEMA = "edge.third_party/1"
TENSORRT = ("8.5", "8.6", "10.3", "10.13", "10.16", "11.1")
IMAGES = 4
PRECISIONS = (("fp32", "fp32"), ("bf16", "bf16"), ("int8", "fp32"))
_GPU = "8.6"

Row = dict[str, Any]


def try_network(network: Network) -> Row:
    """One network through every stage it reaches; a stage that fails says why."""
    start, row = time.perf_counter(), Row(name=network.name)
    inputs = [noise_batch(network.task, seed) for seed in range(IMAGES)]
    try:
        model = load_model(warmed(network), task=network.task)
        row["notes"] = [note.partition(": ")[2] for note in model.notes]
        row["parameters"] = (model.facts or {}).get("parameters")
        fused = fuse(model, None, inputs[:2])
        row["fusion"] = {"error": fused.max_error, "refused": [one.rewrite for one in fused.refused]}
        ranges = calibrate(fused.model, inputs, [*quantizable(fused.model), *watched(fused.model)])
    except Exception as error:  # whatever goes wrong is the row's result
        return {**row, "failed": _reason(error), "seconds": round(time.perf_counter() - start, 1)}
    row["engines"] = {name: _engine(model, fused.model, ranges, name, rest, inputs) for name, rest in PRECISIONS}
    row["lowering"] = {version: _lowered(fused.model, ranges, version) for version in TENSORRT}
    row["rtx"] = {name: _rtx(fused.model, ranges, name) for name in ("fp16", "int8")}
    return {**row, "seconds": round(time.perf_counter() - start, 1)}


def _engine(source: Model, fused: Model, ranges: Ranges, precision: str, rest: str, inputs: Sequence[Any]) -> Row:
    """Parity and SQNR of an OpenVINO engine on this machine."""

    def measure() -> Row:
        target, backend = find_target("cpu"), find_backend("openvino")
        with closing(open_bench(target)) as bench:
            scheme = bench.dialect.scheme
        plan = plan_int8(fused, scheme)
        graph = quantize(fused, ranges, plan, scheme) if precision == "int8" else fused
        with tempfile.TemporaryDirectory() as folder:
            engine = backend.build(Candidate(precision, precision, rest, graph), target, Path(folder))
            with closing(backend.load(engine)) as runner:
                actual = np.concatenate([runner.run(image) for image in inputs])
        floats, exact = ([reference(one).run(image) for image in inputs] for one in (source, graph))
        before, meant = np.concatenate(floats), np.concatenate(exact)
        found = parity_db(meant, actual)
        graph_db = second_db = source_db = None
        if found < parity_bar(precision, rest):
            graph_db, source_db = parity_db(before, meant), parity_db(before, actual)
            second_db = parity_db(meant, np.concatenate([optimized(graph).run(image) for image in inputs]))
        needed = parity_needed(precision, rest, graph_db, second_db, source_db)
        return {
            "parity_db": round(found, 1),
            "needed_db": round(needed, 1),
            "passes": found >= needed,
            "graph_db": graph_db and round(graph_db, 1),
            "second_db": second_db and round(second_db, 1),
            "source_db": source_db and round(source_db, 1),
            "sqnr_db": round(clipped_sqnr_db(before, actual, source.task), 1),
            **({"int8_nodes": len(plan.int8)} if precision == "int8" else {}),
        }

    return _told(measure)


def _lowered(fused: Model, ranges: Ranges, version: str) -> str:
    def measure() -> Row:
        scheme = find_scheme("tensorrt")
        lower(fused, version)
        lower(quantize(fused, ranges, plan_int8(fused, scheme), scheme), version)
        return {"failed": ""}

    return str(_told(measure)["failed"]) or "ok"


def _rtx(fused: Model, ranges: Ranges, precision: str) -> str:
    def measure() -> Row:
        dialect = TensorRtDialect("10.16")
        plan = plan_int8(fused, dialect.scheme) if precision == "int8" else None
        candidate = dialect.write(GraphRequest(precision, precision, "fp16", fused, ranges, plan))
        attempt = TensorRtRtx().try_build(candidate, _GPU)
        return {"failed": "" if attempt.builds else attempt.reason}

    return str(_told(measure)["failed"]) or "ok"


def _told(measure: Callable[[], Row]) -> Row:
    try:
        return measure()
    except Exception as error:  # whatever goes wrong is the result
        return {"failed": _reason(error)}


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"


def table(rows: Sequence[Row]) -> str:
    """Markdown: one line per network, each failure with its reason below."""
    lines = [
        "| network | parameters | FP32 parity | BF16 parity | INT8 parity | INT8 SQNR | TensorRT | RTX fp16, int8 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    reasons: list[str] = []
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['name']} | failed |  |  |  |  |  |  |")
            reasons.append(f"- {row['name']}: {row['failed']}")
            continue
        engines, lowering, rtx = row["engines"], row["lowering"], row["rtx"]
        cells = [_parity(engines[name]) for name, _ in PRECISIONS]
        taken = sum(found == "ok" for found in lowering.values())
        built = ", ".join("ok" if found == "ok" else "no" for found in rtx.values())
        lines.append(
            f"| {row['name']} | {row['parameters']:,} | {' | '.join(cells)} | "
            f"{engines['int8'].get('sqnr_db', '-')} dB | {taken} of {len(lowering)} | {built} |"
        )
        failures = {**{f"TensorRT {v}": r for v, r in lowering.items()}, **{f"RTX {p}": r for p, r in rtx.items()}}
        failures |= {name: engine["failed"] for name, engine in engines.items() if "failed" in engine}
        reasons += [f"- {row['name']}, {where}: {why}" for where, why in failures.items() if why != "ok"]
        reasons += [f"- {row['name']}: {note}" for note in row["notes"]]
    return "\n".join([*lines, "", *dict.fromkeys(reasons), ""])


def _parity(engine: Row) -> str:
    if "failed" in engine:
        return "failed"
    excused = "" if engine["graph_db"] is None and engine["second_db"] is None else f" (needs {engine['needed_db']})"
    return f"{engine['parity_db']} dB{excused}{'' if engine['passes'] else ' **misses**'}"


def _earlier(path: Path) -> list[Row]:
    """Rows of a run that was stopped, or of earlier code: each says its commit."""
    return list(read_json(path)["networks"]) if path.is_file() else []


def main() -> None:
    """Run the networks named, or all, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="keep the rows that FILE has of this code")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    earlier = _earlier(arguments.out) if arguments.resume else []
    code = environment()["commit"]
    found: dict[str, Row] = {row["name"]: row for row in earlier}
    for network in NETWORKS:
        done = found.get(network.name, {}).get("commit") == code
        if done or (arguments.names and network.name not in arguments.names):
            continue
        found[network.name] = {**try_network(network), "commit": code}
        rows = [found[one.name] for one in NETWORKS if one.name in found]
        print(network.name, found[network.name].get("failed", "through"), found[network.name]["seconds"], flush=True)
        write_json(arguments.out, {"schema": SCHEMA, "environment": environment(), "networks": rows})
        arguments.out.with_suffix(".md").write_text(table(rows))
        gc.collect()


if __name__ == "__main__":
    main()
