"""Average the weights of several runs of one network.

    python models/soup.py lanet RUN RUN --data calibration/dsb2018 --out runs/lanet-average

Runs that started from one another end in the same basin, where the mean of their weights is often better than each
(model soups, Wortsman et al., ICML 2022). Whether it is here, val says: its Dice is printed beside theirs. Test is
scored once, on the file that was written. ``training.json`` keeps the records of all runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from training.folder import open_network
from training.scores import score
from training.weights import half_kernels, load_weights, save_weights, weights_record

from edge.errors import EdgeError, InputError
from edge.files import read_json, write_json
from edge.images.image_set import load_image_set

MODELS = Path(__file__).resolve().parent


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tensor by tensor; integers (counters of batch norm) are the first's.

    Raises:
        InputError: the states are not of one architecture.
    """
    first = states[0]
    if any({k: v.shape for k, v in s.items()} != {k: v.shape for k, v in first.items()} for s in states):
        raise InputError("the runs are of different networks; average runs of one")
    return {
        name: torch.stack([s[name].double() for s in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }


def average(name: str, runs: Sequence[Path], data: Path, out: Path) -> dict[str, Any]:
    """Write the averaged weights and their record; returns the record.

    Raises:
        InputError: two runs of one name, which the record could not tell apart.
    """
    named: dict[str, Path] = {}
    for run in runs:
        if run.name in named:
            raise InputError(f"{run}: has the name of {named[run.name]}; rename one, the record lists runs by name")
        named[run.name] = run
    records = [read_json(run / "training.json") for run in runs]
    opened, images = open_network(MODELS / name, None), load_image_set(data)
    network, device = opened.build(), torch.device("cpu")

    def scored(state: Mapping[str, Tensor], split: str) -> dict[str, float]:
        network.load_state_dict(dict(state))
        return score(network, images.split(split), opened.folder.task, device)

    states = [load_weights(run / "weights.safetensors") for run in runs]
    path = out / "weights.safetensors"
    save_weights(half_kernels(mean_state(states)), path)
    written = load_weights(path)
    table = {str(run.name): scored(state, "val")["dice"] for run, state in zip(runs, states, strict=True)}
    record = {
        "network": opened.folder.name,
        "options": dict(opened.folder.options),
        "command": " ".join(["python models/soup.py", name, *(run.name for run in runs), "--data", data.name]),
        "threshold": opened.folder.task.threshold,
        "val": scored(written, "val"),
        "val_dice_of_runs": table,
        "test": scored(written, "test"),
        "data": records[0]["data"],
        "weights": weights_record(path, network, half=True),
        "runs": records,
    }
    write_json(out / "training.json", record)
    return record


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: user errors go to stderr in one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a folder in models/, by name")
    parser.add_argument("runs", nargs="+", type=Path, help="--out folders of models/train.py")
    parser.add_argument("--data", type=Path, required=True, help="image set with val and test")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and record")
    arguments = parser.parse_args(argv)
    try:
        record = average(arguments.network, arguments.runs, arguments.data, arguments.out)
    except EdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for run, dice in record["val_dice_of_runs"].items():
        print(f"val Dice {dice:.4f}  {run}")
    print(f"val Dice {record['val']['dice']:.4f}  the average; test Dice {record['test']['dice']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
