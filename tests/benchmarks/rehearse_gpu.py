"""Rehearses ``python -m benchmarks.gpu`` with the five networks against the double of TensorRT, CUDA and NVIDIA's tool.

    python -m tests.benchmarks.rehearse_gpu --out DIR

Every step runs, on small pictures; what it writes is marked as a rehearsal and is no evidence. Prints where the time
went, in seconds of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from edge.files import read_json
from tests.fixtures.tensorrt.install import write_site

_REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that is not there yet")
    parser.add_argument("--budget", default="10m", help="of benchmarks.gpu")
    arguments = parser.parse_args()
    out, start = arguments.out.resolve(), time.monotonic()
    if out.exists():
        sys.exit(f"error: --out {out}: is there already; a rehearsal begins with nothing")
    rtx = ("rtx-1.7.1.116",)
    environment = write_site(out / "site", "10.3.0", "8.6", also=rtx, torch_tensorrt="2.13.0", cpp=True)
    line = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out), "--small", "--seconds", "0.1"]
    done = subprocess.run([*line, "--budget", arguments.budget], cwd=_REPOSITORY, env=environment, check=False)
    for name, row in read_json(out / "gpu.json")["steps"].items():
        print(f"{name:24}{row['status']:8}{row['seconds']:8.1f} s {row['processor_seconds']:8.1f} s of processor")
    print(f"all: {time.monotonic() - start:.0f} s")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
