"""Hold the predicted kernels of convolutions against the plans that TensorRT for RTX builds, without a GPU.

``nice -n 10 python -m benchmarks.rtx_kernels --runs /tmp/rtx-kernels`` builds small networks (the five of ``models/``,
those of ``tests/fixtures``, and MONAI's where it is installed) in FP32, FP16, INT8 and INT8 over FP16 for an RTX
GPU, and asks of every convolution: is its product in the precision predicted, and are the other layers in its kernel
those predicted? Plans lie in ``--runs``, so that an interrupted run goes on where it stopped. Writes JSON, and the
table as Markdown beside it. The rules were found on the networks marked so; the others had no part in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.third_party.networks import NETWORKS, Network, warmed
from edge.backends.tensorrt.engine import compile_plan
from edge.backends.tensorrt.kernels import built_kernels, predict_kernels
from edge.backends.tensorrt.plan import rtx_layers
from edge.backends.tensorrt.rtx import import_rtx
from edge.backends.tensorrt.settings import RTX
from edge.errors import InputError
from edge.files import read_json, write_json, write_text
from edge.fusion import fuse
from edge.graph.model import Model, read_model
from edge.loading import load_model
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half_range import watched
from edge.search.dialect import TensorRtDialect
from edge.search.open_bench import tensorrt_version
from edge.search.plain_candidates import plain_candidates
from edge.targets.target import find_target
from tests.fixtures.bundle_example import tiny_unet
from tests.fixtures.discs import disc_network, loud_disc_network
from tests.fixtures.networks import NAMES, inputs, network
from tests.fixtures.zoo import ZOO

SCHEMA = "edge.rtx_kernels/1"
TARGET, CAPABILITY = "rtx-ampere", "SM86"
QUANTIZED = ("int8", "int8-fp16")
PRECISIONS = ("fp32", "fp16", *QUANTIZED)
BAR = 0.98
FOUND_ON = (*(f"zoo/{name}" for name in ZOO), *(f"models/{name}" for name in NAMES), "monai/AttentionUnet")
"""Networks on whose plans the rules were found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/rtx_kernels.json"))
    parser.add_argument("--runs", type=Path, default=Path("out/rtx-kernels"), help="plans and graphs go here")
    parser.add_argument("names", nargs="*", help="of networks; default all")
    arguments = parser.parse_args()
    rows: dict[str, Any] = dict(read_json(arguments.out)["networks"]) if arguments.out.is_file() else {}
    for name, make in networks().items():
        if arguments.names and name not in arguments.names:
            continue
        print(name, file=sys.stderr, flush=True)
        folder = arguments.runs / name.replace("/", "-")
        if not all(_is_known(folder, precision) for precision in PRECISIONS):
            build(make(), folder)
        rows[name] = {precision: compared(folder, precision) for precision in PRECISIONS}
        table = {"schema": SCHEMA, "target": TARGET, "compiler": str(import_rtx().__version__), "networks": rows}
        write_json(arguments.out, {**table, "total": total(rows)})
        write_text(arguments.out.with_suffix(".md"), markdown({**table, "total": total(rows)}))
    share = total(rows)["agreeing"] / total(rows)["convolutions"]
    print(f"{100 * share:.2f} % of {total(rows)['convolutions']} convolutions", file=sys.stderr)
    sys.exit(0 if share >= BAR else 1)


def networks() -> dict[str, Callable[[], Model]]:
    """Name to what makes the float model."""
    made: dict[str, Callable[[], Model]] = {f"zoo/{name}": lambda build=build: build(32) for name, build in ZOO.items()}  # type: ignore[misc]
    made |= {f"models/{name}": lambda name=name: network(name) for name in NAMES}  # type: ignore[misc]
    made |= {"fixtures/discs": disc_network, "fixtures/loud-discs": loud_disc_network, "fixtures/tiny-unet": tiny_unet}
    if find_spec("monai") is not None:
        others = [one for one in NETWORKS if one.name.startswith("monai/")]
        made |= {one.name: lambda one=one: _third_party(one) for one in others}  # type: ignore[misc]
    return made


def _third_party(one: Network) -> Model:
    return load_model(warmed(one), task=one.task)


def build(model: Model, folder: Path) -> None:
    """Every precision's graph, and its plan, or why there is none."""
    images = inputs(model, 2)
    fused = fuse(model, None, images).model
    ranges = calibrate(fused, images, [*quantizable(fused), *watched(fused)])
    folder.mkdir(parents=True, exist_ok=True)
    dialect = TensorRtDialect(tensorrt_version(find_target(TARGET), None))
    found = plain_candidates(dialect, lambda _: None, fused, ranges, ("fp32", "fp16", "int8"))
    for refusal in found.refusals:
        for name in QUANTIZED if refusal.name == "int8" else (refusal.name,):
            (folder / f"{name}.txt").write_text(refusal.reason)
    for candidate in found.candidates:
        try:
            plan = compile_plan(import_rtx(), RTX, candidate, (CAPABILITY,)).plan
            (folder / f"{candidate.name}.plan").write_bytes(plan)
        except InputError as error:
            (folder / f"{candidate.name}.txt").write_text(str(error))
        candidate.model.save(folder / f"{candidate.name}.onnx")


def _is_known(folder: Path, precision: str) -> bool:
    return any((folder / f"{precision}.{kind}").is_file() for kind in ("plan", "txt"))


def compared(folder: Path, precision: str) -> dict[str, Any]:
    """One plan against the prediction."""
    plan = folder / f"{precision}.plan"
    if not plan.is_file():
        return {"convolutions": 0, "agreeing": 0, "refused": (folder / f"{precision}.txt").read_text()[:300]}
    model = read_model(folder / f"{precision}.onnx")
    predicted, found = predict_kernels(model), built_kernels(rtx_layers(plan.read_bytes()), model)
    differing = {
        name: {"predicted": _told(predicted[name]), "built": _told(kernel)}
        for name, kernel in found.items()
        if predicted[name] != kernel
    }
    return {"convolutions": len(found), "agreeing": len(found) - len(differing), "differing": differing}


def _told(kernel: Any) -> dict[str, Any]:
    return {"precision": kernel.precision, "fused": sorted(kernel.fused)}


def total(rows: Mapping[str, Any]) -> dict[str, int]:
    """Over all networks and precisions; and over those on which the rules were not found."""
    every = [(name, row) for name, found in rows.items() for row in found.values()]
    unseen = [row for name, row in every if name not in FOUND_ON]
    return {
        "networks": len(rows),
        "convolutions": sum(row["convolutions"] for _, row in every),
        "agreeing": sum(row["agreeing"] for _, row in every),
        "convolutions_unseen": sum(row["convolutions"] for row in unseen),
        "agreeing_unseen": sum(row["agreeing"] for row in unseen),
    }


def markdown(table: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [f"| network | {' | '.join(PRECISIONS)} | rules found on it |", f"|{' --- |' * (len(PRECISIONS) + 2)}"]
    for name, found in table["networks"].items():
        cells = [_cell(found[precision]) for precision in PRECISIONS]
        lines.append(f"| {name} | {' | '.join(cells)} | {'yes' if name in FOUND_ON else 'no'} |")
    sums = table["total"]
    note = (
        f"Convolutions whose precision and kernel are as predicted, of all. Together {sums['agreeing']} of "
        f"{sums['convolutions']}; on networks that had no part in the rules {sums['agreeing_unseen']} of "
        f"{sums['convolutions_unseen']}. Plans by TensorRT for RTX {table['compiler']} for {table['target']}, built on "
        "a CPU and not run on a GPU."
    )
    return "\n".join([*lines, "", note, ""])


def _cell(row: Mapping[str, Any]) -> str:
    return "refused" if "refused" in row else f"{row['agreeing']} / {row['convolutions']}"


if __name__ == "__main__":
    main()
