"""Build the five networks for an RTX GPU by the user's own command and audit each plan, without a GPU.

``nice -n 10 python -m benchmarks.rtx --runs /tmp/rtx`` runs ``edge build … --target rtx-ampere`` for each network in
FP16, INT8 over FP32, INT8 over FP16 and mixed, one after the other, and reads from each plan's text in which precision
every convolution runs. Engines lie in ``--runs``, so that an interrupted run goes on where it stopped. Writes JSON,
and the table as Markdown beside it. Nothing is run: TensorRT for RTX builds for a GPU that is elsewhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.backends.engine import MANIFEST, read_engine
from edge.backends.tensorrt.plan import count_precisions
from edge.backends.tensorrt.rtx import plan_precisions
from edge.files import read_json, write_json, write_text
from edge.search.build import compiled_graph

SCHEMA = "edge.rtx/1"
NETWORKS = ("unet", "litenext", "lanet", "lightawnet", "drrmsan")
PRECISIONS = ("fp16", "int8+fp32", "int8+fp16", "mixed")
DATA, TARGET = "calibration/dsb2018", "rtx-ampere"
CALIBRATION_IMAGES = 8  # what is audited does not depend on their number
_COLUMNS = ("network", "precision", "built", "seconds", "MB", "convolutions: int8 / fp16 / fp32 / unknown", "why not")
_NOTE = (
    "Built by NVIDIA's own TensorRT for RTX on a CPU, for {target}; counted from what each plan says of its "
    "convolutions. Not run on a GPU. Seconds are the builder's, on a machine that others used."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/rtx.json"))
    parser.add_argument("--runs", type=Path, default=Path("out/rtx"), help="engine folders go here")
    parser.add_argument("--target", default=TARGET)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    arguments = parser.parse_args()
    rows: dict[str, Any] = {}
    if arguments.out.is_file():
        rows = {name: row for name, row in read_json(arguments.out)["builds"].items() if row["built"]}
    for network in arguments.networks:
        for precision in PRECISIONS:
            name = f"{network} {precision}"
            if name not in rows:
                print(name, file=sys.stderr, flush=True)
                rows[name] = row(network, precision, arguments.target, arguments.runs / f"{network}-{precision}")
                table = {"schema": SCHEMA, "target": arguments.target, "builds": rows}
                write_json(arguments.out, table)
                write_text(arguments.out.with_suffix(".md"), markdown(table))
    missing = [name for name, found in rows.items() if not found["built"]]
    print(f"{len(rows) - len(missing)} of {len(rows)} built", file=sys.stderr)
    sys.exit(1 if missing else 0)


def row(network: str, precision: str, target: str, folder: Path) -> dict[str, Any]:
    """One build, by the command line, and what its plan says."""
    words = ("build", f"models/{network}", "--data", DATA, "--target", target, "--precision", precision)
    words += ("--calibration-images", str(CALIBRATION_IMAGES))
    row: dict[str, Any] = {"network": network, "precision": precision, "command": f"edge {' '.join(words)}"}
    if not (folder / MANIFEST).is_file():
        line = [sys.executable, "-m", "edge.cli.app", *words, "--out", str(folder), "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return {**row, "built": False, "reason": f"exit {done.returncode}: {said[-1] if said else ''}"}
        json.loads(done.stdout)  # nothing else may stand there
    return {**row, "built": True, "reason": "", **audited(folder)}


def audited(folder: Path) -> dict[str, Any]:
    """What an engine folder and its plan say, each convolution by name."""
    engine = read_engine(folder)
    graph = compiled_graph(engine)
    if graph is None:
        raise ValueError(f"{folder}: its graph is missing")
    found = plan_precisions((folder / engine.artefact).read_bytes(), graph)
    counts = count_precisions(found.values())
    return {
        "engine_precision": engine.precision,
        "rest": engine.rest,
        "bytes": engine.bytes,
        "build_seconds": round(engine.build_seconds, 3),
        "versions": dict(engine.versions),
        "convs": counts,
        "convolutions": dict(found),
    }


def markdown(table: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for found in table["builds"].values():
        cells = [found["network"], found["precision"], "yes" if found["built"] else "no"]
        if found["built"]:
            counts = " / ".join(str(found["convs"][name]) for name in ("int8", "fp16", "fp32", "unknown"))
            cells += [f"{found['build_seconds']:.2f}", f"{found['bytes'] / 1e6:.2f}", counts]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join([*cells, found['reason']])} |")
    return "\n".join([*lines, "", _NOTE.format(target=table["target"]), ""])


if __name__ == "__main__":
    main()
