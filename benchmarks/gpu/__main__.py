"""Turns at most 25 minutes on an NVIDIA machine into evidence, in one file: ``DIR/gpu.json``.

    python -m benchmarks.gpu --out DIR [--budget 25m]        (or: make gpu)

Finds GPU, driver and whichever TensorRT can be used; deploys the five networks with ``--target gpu`` in FP32, FP16,
INT8 and mixed; runs the tests that need a GPU; times our engines against PyTorch, torch.compile, Torch-TensorRT and
ONNX Runtime where they are installed; checks the C++ runtime's pixels; measures what the GPU can do at best. The most
valuable comes first, and every step is on disk before the next one begins: run it again, and it goes on where it
stopped. Exit code 1 where a step has no result, 3 without a GPU.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from benchmarks.gpu.evidence import Evidence
from benchmarks.gpu.rehearsal import small_networks, small_set
from benchmarks.gpu.steps import Plan, make_steps, run_steps

_NETWORKS = "models/litenext,models/unet,models/lightawnet,models/lanet,models/drrmsan"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the evidence and the run folders")
    parser.add_argument("--budget", type=_seconds, default=1500.0, help="such as 25m; no step begins after it")
    parser.add_argument("--networks", default=_NETWORKS, help="model folders or ONNX files, comma between")
    parser.add_argument("--data", type=Path, default=Path("calibration/dsb2018"))
    parser.add_argument("--search-seconds", type=float, default=60.0, help="of each precision search")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each contender")
    parser.add_argument("--small", action="store_true", help="small pictures and floors, to rehearse without a GPU")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    networks = tuple(arguments.networks.split(","))
    data = arguments.data
    if arguments.small:
        small = arguments.out / "small"
        networks, data = small_networks(networks, small), small_set(data, small / "set")
    plan = Plan(networks, data, arguments.out, arguments.search_seconds, arguments.seconds, arguments.small)
    evidence, steps = Evidence(arguments.out / "gpu.json"), make_steps(plan)
    deadline = time.monotonic() + arguments.budget
    run_steps(steps[:1], evidence, deadline, _say)
    gpu = (evidence.steps["machine"]["result"] or {}).get("gpu", {"found": False, "reason": "it cannot be asked"})
    if not gpu["found"]:
        _say(f"error: no GPU to measure: {gpu['reason']}")
        sys.exit(3)
    run_steps(steps[1:], evidence, deadline, _say)
    if evidence.rehearsal:
        _say("rehearsed with the tests' double of TensorRT: nothing here was measured on a GPU")
    missing = [step.name for step in steps if not evidence.done(step.name)]
    if missing:
        sys.exit(f"without a result: {', '.join(missing)}")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it as 25m, 90s or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
