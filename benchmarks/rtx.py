"""Build the five networks for an RTX GPU by the user's own command and audit each plan, without a GPU.

``nice -n 10 python -m benchmarks.rtx --runs /tmp/rtx`` runs ``edge build … --target rtx-ampere`` for each network in
FP16, INT8 over FP32, INT8 over FP16 and mixed, one after the other, and reads from each plan's text in which precision
every convolution runs. Engines lie in ``--runs``, so that an interrupted run goes on where it stopped. Writes JSON,
and the table as Markdown beside it. Nothing is run: TensorRT for RTX builds for a GPU that is elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.backends.engine import MANIFEST, read_engine
from edge.backends.tensorrt.plan import count_precisions
from edge.backends.tensorrt.rtx import plan_precisions
from edge.files import read_json, write_json, write_text
from edge.images.manifest import SPLITS
from edge.machine.environment import environment
from edge.search.build import compiled_graph

SCHEMA = "edge.rtx/1"
NETWORKS = ("unet", "litenext", "lanet", "lightawnet", "drrmsan")
PRECISIONS = ("fp16", "int8+fp32", "int8+fp16", "mixed")
DATA, TARGET = Path("calibration/dsb2018"), "rtx-ampere"
IMAGES = 8  # of each split: what is audited does not depend on their number
SEARCH_SECONDS = 900  # of a search for mixed, at most
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
    data = few_images(DATA, arguments.runs / "images")
    for precision in PRECISIONS:
        for network in arguments.networks:
            name = f"{network} {precision}"
            if name not in rows:
                print(name, file=sys.stderr, flush=True)
                rows[name] = row(network, precision, arguments.target, data, arguments.runs / f"{network}-{precision}")
                table = {"schema": SCHEMA, "target": arguments.target, "builds": rows}
                write_json(arguments.out, table)
                write_text(arguments.out.with_suffix(".md"), markdown(table))
    missing = [name for name, found in rows.items() if not found["built"]]
    print(f"{len(rows) - len(missing)} of {len(rows)} built", file=sys.stderr)
    sys.exit(1 if missing else 0)


def few_images(data: Path, folder: Path) -> Path:
    """A copy of an image set with so many of each split."""
    with (data / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    kept = [one for split in SPLITS for one in [row for row in rows if row["split"] == split][:IMAGES]]
    for one in kept:
        for column in ("image", "mask"):
            (folder / one[column]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / one[column], folder / one[column])
    with (folder / "manifest.csv").open("w") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(kept)
    return folder


def row(network: str, precision: str, target: str, data: Path, folder: Path) -> dict[str, Any]:
    """One build, by the command line, and what its plan says."""
    words = ("--target", target, "--precision", precision)
    if precision == "mixed":
        words += ("--budget", str(SEARCH_SECONDS))
    command = f"edge build models/{network} --data IMAGES {' '.join(words)}"
    row: dict[str, Any] = {"network": network, "precision": precision, "command": command}
    if not (folder / MANIFEST).is_file():
        line = [sys.executable, "-m", "edge.cli.app", "build", f"models/{network}", "--data", str(data), *words]
        line += ["--out", str(folder), "--json"]
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
        "environment": environment(),
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
