"""Builds the C++ runtime with TensorRT and counts the pixels in which its masks differ from Python's, as JSON.

``python -m benchmarks.gpu.runtime --data SET --build DIR RUN ...`` segments the same few images with every engine of
the runs, by ``edge.segment`` and by ``segedge-run infer``. The bar is 0 differing pixels. Where the runtime cannot be
built the exit code is 1 and the reason the last line of standard error, so that a later run tries again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import edge
from edge.errors import EdgeError

_REPOSITORY = Path(__file__).resolve().parents[2]
_IMAGES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True, help="build folder, kept between runs")
    arguments = parser.parse_args()
    program = build_runtime(arguments.build)
    images = sorted(path for path in arguments.data.rglob("*.png") if "mask" not in str(path).lower())[:_IMAGES]
    engines = {}
    for run in arguments.runs:
        for engine in sorted((run / "engines").glob("*/engine.json")):
            folder = engine.parent
            engines[f"{run.name}/{folder.name}"] = _differing(program, folder, images, arguments.build / "masks")
    print(json.dumps({"images": len(images), "engines": engines}))


def build_runtime(folder: Path) -> Path:
    """``segedge-run`` with the TensorRT backend and no other.

    Args:
        folder: to build in.
    """
    missing = [tool for tool in ("cmake", "c++", "make") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"the C++ runtime needs {', '.join(missing)}: apt-get install build-essential cmake")
    source, options = _REPOSITORY / "export" / "runtime", ("TENSORRT=ON", "OPENVINO=OFF")
    configure = ["cmake", "-S", str(source), "-B", str(folder), *(f"-DSEGEDGE_{option}" for option in options)]
    make = ["cmake", "--build", str(folder), "--target", "segedge-run", "--parallel", str(os.cpu_count() or 1)]
    for line in ([*configure, "-DBUILD_TESTING=OFF"], make):
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit((done.stderr or done.stdout).strip()[-1500:])
    return folder / "segedge-run"


def _differing(program: Path, engine: Path, images: list[Path], scratch: Path) -> dict[str, Any]:
    ours, theirs = scratch / "python" / engine.name, scratch / "cpp" / engine.name
    names = [str(image) for image in images]
    line = [str(program), "infer", str(engine), *names, "--out", str(theirs)]
    try:
        edge.segment(engine, names, out=ours)
    except EdgeError as error:
        return {"pixels_differing": None, "reason": f"Python: {error}"[:300]}
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"pixels_differing": None, "reason": f"C++: {done.stderr.strip()}"[-300:]}
    pairs = [(ours / f"{image.stem}.png", theirs / f"{image.stem}.png") for image in images]
    pixels = [(np.asarray(Image.open(a)), np.asarray(Image.open(b))) for a, b in pairs]
    return {"pixels_differing": int(sum(np.sum(a != b) for a, b in pixels)), "reason": ""}


if __name__ == "__main__":
    main()
