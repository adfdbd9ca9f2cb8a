"""Training for a benchmark: a network of ``benchmarks`` by ``models/train.py``, then a model folder like any user's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge.files import read_json
from edge.machine.environment import processor

RECORD, WEIGHTS = "training.json", "weights.safetensors"


def trained(folder: Path, data: Path, out: Path) -> dict[str, Any]:
    """Record of a network's training, done now unless a finished run is there; an interrupted one goes on.

    Args:
        folder: ``network.py`` and a ``model.toml`` with a recipe.
        data: image set with train, val and test.
        out: where checkpoint, weights and record go.
    """
    if not _finished(out):
        line = [sys.executable, "models/train.py", str(folder), "--data", str(data), "--out", str(out), *_precision()]
        subprocess.run([*line, *(["--resume"] if (out / "checkpoint.pt").is_file() else [])], check=True)
    if not _finished(out):
        sys.exit(f"{out}: training was interrupted; run it again and it goes on")
    return dict(read_json(out / RECORD))


def _precision() -> tuple[str, ...]:
    """BF16 autocast only where the processor has it: emulated, it is far slower than FP32."""
    return () if any("bf16" in feature for feature in processor()["isa"]) else ("--no-amp",)


def model_folder(folder: Path, training: Path, out: Path) -> Path:
    """A model folder: the network and task of ``folder`` beside the weights of ``training``."""
    out.mkdir(parents=True, exist_ok=True)
    for file in (folder / "network.py", folder / "model.toml", training / WEIGHTS):
        shutil.copy(file, out)
    return out


def _finished(out: Path) -> bool:
    return (out / RECORD).is_file() and bool(read_json(out / RECORD)["finished"])
