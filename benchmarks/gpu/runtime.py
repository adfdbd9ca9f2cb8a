"""Builds the C++ runtime with TensorRT and counts the pixels in which its masks differ from Python's, as JSON.

``python -m benchmarks.gpu.runtime --data SET --build DIR RUN ...`` segments the same few images with every engine of
the runs, by ``edge segment`` and by ``segedge-run infer``. The bar is 0 differing pixels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_REPOSITORY = Path(__file__).resolve().parents[2]
_IMAGES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True, help="build folder, kept between runs")
    arguments = parser.parse_args()
    program, reason = build_runtime(arguments.build)
    if program is None:
        print(json.dumps({"built": False, "reason": reason, "engines": {}}))
        return
    images = sorted(path for path in arguments.data.rglob("*.png") if "mask" not in str(path).lower())[:_IMAGES]
    engines = {}
    for run in arguments.runs:
        for engine in sorted((run / "engines").glob("*/engine.json")):
            folder = engine.parent
            engines[f"{run.name}/{folder.name}"] = _differing(program, folder, images, arguments.build / "masks")
    print(json.dumps({"built": True, "reason": "", "images": len(images), "engines": engines}))


def build_runtime(folder: Path) -> tuple[Path | None, str]:
    """``segedge-run`` with the TensorRT backend, or None and why not."""
    configure = ["cmake", "-S", str(_REPOSITORY / "export" / "runtime"), "-B", str(folder), "-DSEGEDGE_TENSORRT=ON"]
    for line in (configure, ["cmake", "--build", str(folder), "--parallel"]):
        try:
            done = subprocess.run(line, capture_output=True, text=True, check=False)
        except OSError as error:
            return None, str(error)
        if done.returncode != 0:
            return None, (done.stderr or done.stdout).strip()[-500:]
    return folder / "segedge-run", ""


def _differing(program: Path, engine: Path, images: list[Path], scratch: Path) -> dict[str, Any]:
    ours, theirs = scratch / "python" / engine.name, scratch / "cpp" / engine.name
    names = [str(image) for image in images]
    lines = (
        [sys.executable, "-m", "edge.cli.app", "segment", str(engine), *names, "--out", str(ours), "--quiet"],
        [str(program), "infer", str(engine), *names, "--out", str(theirs)],
    )
    for line in lines:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {"pixels_differing": None, "reason": done.stderr.strip()[-300:]}
    pairs = [(ours / f"{image.stem}.png", theirs / f"{image.stem}.png") for image in images]
    pixels = [(np.asarray(Image.open(a)), np.asarray(Image.open(b))) for a, b in pairs]
    return {"pixels_differing": int(sum(np.sum(a != b) for a, b in pixels)), "reason": ""}


if __name__ == "__main__":
    main()
