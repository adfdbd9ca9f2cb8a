"""Unpacks a kit into an empty folder by its own loader, and imports each set as far as a missing driver allows.

    python -m benchmarks.gpu.kit_check --kit DIR --into FOLDER [--out benchmarks/results/gpu_kit.json]

Nothing of this machine's Python is in the environment of what is asked: the kit's interpreter, its packages, its CUDA
libraries. Without a GPU an import of TensorRT is as far as it goes, and its builder says why; TensorRT for RTX also
builds a plan. Last, each set's printed command is run, which ends by saying that there is no GPU. Writes JSON, and the
table as Markdown beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu import load
from edge.files import read_json, write_json, write_text
from edge.machine.environment import environment

SCHEMA = "edge.gpu_kit/1"
BASE = ("numpy", "onnx", "onnxruntime", "openvino", "pytest", "edge", "benchmarks.gpu", "tests.fixtures.tensorrt")
_SECONDS = 600
_COLUMNS = ("set", "TensorRT", "imported", "from elsewhere", "builder", "plan's bytes", "its command")
# Run by the kit's Python: what can be imported, from where, and what TensorRT's builder says.
_PROBE = """
import importlib, json, sys
root, names, flavour = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
found, elsewhere = {}, []
for name in names + ([flavour] if flavour else []):
    module = importlib.import_module(name)
    found[name] = str(getattr(module, "__version__", ""))
    path = module.__file__ or list(module.__path__)[0]
    if not path.startswith(root):
        elsewhere.append(name)
said, size = "", 0
if flavour:
    trt = importlib.import_module(flavour)
    try:
        builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        network = builder.create_network(0)
        image = network.add_input("image", trt.float32, (1, 3, 8, 8))
        network.mark_output(network.add_activation(image, trt.ActivationType.RELU).get_output(0))
        config = builder.create_builder_config()
        if flavour == "tensorrt_rtx":
            config.num_compute_capabilities = 1
            config.set_compute_capability(trt.ComputeCapability.SM86, 0)
        plan = builder.build_serialized_network(network, config)
        size = plan.nbytes if plan is not None else 0
        said = "built" if size else "built nothing"
    except Exception as error:
        said = "{}: {}".format(type(error).__name__, str(error).strip().splitlines()[0])
print(json.dumps({"python": sys.version.split()[0], "modules": found, "elsewhere": elsewhere, "builder": said,
                  "plan_bytes": size}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True, help="folder that benchmarks.gpu.kit has written")
    parser.add_argument("--into", type=Path, required=True, help="folder that is not there yet")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu_kit.json"))
    arguments = parser.parse_args()
    table = check_kit(arguments.kit, arguments.into)
    write_json(arguments.out, table)
    write_text(arguments.out.with_suffix(".md"), markdown(table))
    failed = [name for name, row in table["sets"].items() if not row.get("modules")]
    print(markdown(table))
    sys.exit(f"not imported: {', '.join(failed)}" if failed else 0)


def check_kit(kit: Path, into: Path) -> dict[str, Any]:
    """What a kit holds, whether its parts are whole, and what of it can be imported here.

    Raises:
        CalledProcessError: its loader refuses it.
    """
    parts = read_json(kit / "kit.json")["parts"]
    start = time.monotonic()
    line = [sys.executable, str(kit / "load.py"), "--into", str(into)]
    subprocess.run(line, check=True, capture_output=True, text=True)
    seconds, root = time.monotonic() - start, into.resolve()
    sizes = [int(part["bytes"]) for part in parts]
    return {
        "schema": SCHEMA,
        "parts": {
            "count": len(parts),
            "bytes": sum(sizes),
            "largest": max(sizes),
            "hashes": len({p["sha256"] for p in parts}),
        },
        "unpack_seconds": round(seconds, 1),
        "unpacked_bytes": sum(
            path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink()
        ),
        "networks": sorted(path.name for path in (root / "networks").glob("*.onnx")),
        "sets": {name: _set(root, name) for name in sorted(path.name for path in (root / "wheels").iterdir())},
        "environment": environment(),
    }


def _set(root: Path, name: str) -> dict[str, Any]:
    wheels = sorted(path.name for path in (root / "wheels" / name).glob("*.whl"))
    flavour = {"base": "", "rtx": "tensorrt_rtx"}.get(name, "tensorrt")
    line = [load.interpreter(str(root)), "-c", _PROBE, str(root), ",".join(BASE), flavour]
    variables = load.variables(str(root), name)
    row: dict[str, Any] = {"wheels": len(wheels)}
    probed = _run(line, root, variables)
    row |= json.loads(probed.stdout) if probed.returncode == 0 else {"reason": probed.stderr.strip()[-500:]}
    if flavour:
        ended = _run(["sh", "-c", load.command(str(root), name)], root, {"PATH": "/usr/bin:/bin"})
        row["command"] = {"exit": ended.returncode, "said": (ended.stderr.strip().splitlines() or [""])[-1]}
    return row


def _run(line: list[str], root: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line,
        cwd=root / "repository",
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def markdown(table: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for name, row in table["sets"].items():
        modules = row.get("modules", {})
        tensorrt = next((f"{key} {modules[key]}" for key in ("tensorrt", "tensorrt_rtx") if key in modules), "")
        ended = row.get("command", {})
        said = f"exit {ended['exit']}: {ended['said']}" if ended else ""
        cells = [name, tensorrt, f"{len(modules)} modules", ", ".join(row.get("elsewhere", ())) or "none"]
        cells += [row.get("builder", row.get("reason", "")), str(row.get("plan_bytes") or ""), said]
        lines.append(f"| {' | '.join(cells)} |")
    parts = table["parts"]
    note = (
        f"{parts['count']} parts, {parts['bytes'] / 1e6:.0f} MB, the largest {parts['largest'] / 1e6:.1f} MB, "
        f"{parts['hashes']} hashes, all held to by the loader; {table['unpacked_bytes'] / 1e6:.0f} MB and "
        f"{len(table['networks'])} networks unpacked in {table['unpack_seconds']:.0f} s. On a machine without a GPU."
    )
    return "\n".join([*lines, "", note, ""])


if __name__ == "__main__":
    main()
