"""Train one network on one image set.

    python models/train.py litenext --data calibration/dsb2018 --out runs/litenext

Selects the best epoch on val, scores test once at the end, writes ``weights.safetensors`` and ``training.json``
into ``--out``.  Stop it with Ctrl-C or SIGTERM: the best weights so far are written; ``--resume`` goes on.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy
import safetensors
import torch
from training.data import load_training_images
from training.folder import TrainingFolder, open_network
from training.recipe import Recipe
from training.scores import score
from training.trainer import Progress, Trainer, read_progress
from training.weights import half_kernels, load_weights, save_weights, weights_record

from edge.errors import EdgeError, InputError
from edge.files import read_json, sha256_file, write_json
from edge.images.image_set import ImageSet, load_image_set
from edge.images.leaks import require_disjoint

MODELS = Path(__file__).resolve().parent
CHECKPOINT = "checkpoint.pt"
# The largest change of validation Dice at which kernels are stored in half precision.
HALF_TOLERANCE = 2e-4


@dataclass(frozen=True)
class Arguments:
    """The command line.

    Attributes:
        network: a folder of ``models/`` by name, or a path; ``@NAME`` takes the task of a further checkpoint.
        data: image set with train, val and test.
        out: where checkpoint, weights and record go.
        init: weights to start from, or None.
        device: cpu or cuda.
        threads: CPU threads, 0 for torch's own choice.
        resume: go on from ``out/checkpoint.pt``.
        export_only: no training: write weights and record from the checkpoint.
        overrides: recipe values given on the command line.
    """

    network: str
    data: Path
    out: Path
    init: Path | None
    device: str
    threads: int
    resume: bool
    export_only: bool
    overrides: Mapping[str, Any]


def parse_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Read the command line; every field of ``Recipe`` is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a folder in models/, by name or path, with @CHECKPOINT for another task")
    parser.add_argument("--data", type=Path, required=True, help="image set with train, val and test")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, weights and record")
    parser.add_argument("--init", type=Path, help="weights (.safetensors) to start from")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--export-only", action="store_true", help="write weights from the checkpoint in --out")
    recipe = parser.add_argument_group("recipe (defaults: the [training] table of the network's model.toml)")
    kinds = {"int": int, "float": float, "str": str}
    for entry in fields(Recipe):
        flag = "--" + entry.name.replace("_", "-")
        if entry.type == "bool":
            recipe.add_argument(flag, action=argparse.BooleanOptionalAction, default=None)
        else:
            recipe.add_argument(flag, type=kinds[str(entry.type)], default=None)
    values = vars(parser.parse_args(argv))
    overrides = {entry.name: values.pop(entry.name) for entry in fields(Recipe)}
    return Arguments(**values, overrides=overrides)


def train(arguments: Arguments, argv: Sequence[str]) -> dict[str, Any]:
    """Run the command; returns the record written to ``training.json``."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    name, _, checkpoint_name = arguments.network.partition("@")
    opened = open_network(_folder_path(name), checkpoint_name or None)
    task = opened.folder.task
    recipe = Recipe.from_tables(opened.recipe, arguments.overrides, f"{opened.folder.folder}/model.toml")
    images = load_image_set(arguments.data)
    splits = {name: images.split(name) for name in ("train", "val", "test")}
    require_disjoint(list(splits.items()))
    checkpoint = arguments.out / CHECKPOINT
    if arguments.export_only:
        progress = read_progress(checkpoint)
    else:
        trainer = Trainer(
            _initial_network(opened, recipe, arguments.init),
            task,
            recipe,
            load_training_images(splits["train"], task, recipe.balance),
            splits["val"],
            device,
        )
        if arguments.resume:
            trainer.resume(checkpoint)
        trainer.run(checkpoint)
        progress = trainer.progress
    if not progress.best_state:
        raise InputError(f"{arguments.out}: stopped before the first validation, so there is nothing to export")
    return export(arguments, argv, opened, recipe, images, splits, progress, device)


def export(
    arguments: Arguments,
    argv: Sequence[str],
    opened: TrainingFolder,
    recipe: Recipe,
    images: ImageSet,
    splits: Mapping[str, ImageSet],
    progress: Progress,
    device: torch.device,
) -> dict[str, Any]:
    """Write the best weights, score them on test, write the record."""
    path = arguments.out / "weights.safetensors"
    folder = opened.folder
    network = opened.build().to(device)

    def scored(state: Mapping[str, torch.Tensor], split: str) -> dict[str, float]:
        network.load_state_dict(dict(state))
        return score(network, splits[split], folder.task, device)

    # Half or single precision is decided on val; test is scored once, on the file that ships.
    full = scored(progress.best_state, "val")
    half = scored(half_kernels(progress.best_state), "val")
    use_half = abs(full["dice"] - half["dice"]) <= HALF_TOLERANCE
    save_weights(half_kernels(progress.best_state) if use_half else progress.best_state, path)
    test = scored(load_weights(path), "test")
    val = half if use_half else full
    record: dict[str, Any] = {
        "network": folder.name,
        "options": dict(folder.options),
        "command": _command(argv),
        "finished": progress.epoch >= recipe.total_epochs,
        "epochs_done": progress.epoch,
        "recipe": asdict(recipe),
        "initial": _initial_record(arguments.init) if arguments.init else None,
        "data": {
            "name": images.name,
            "images": {name: len(split) for name, split in splits.items()},
            "sha256": images.sha256(),
        },
        "best_epoch": progress.best_epoch,
        "val": val,
        "val_float32": full,
        "test": test,
        "weights": weights_record(path, network, use_half),
        "seconds": round(sum(row["seconds"] for row in progress.curves), 1),
        "environment": _environment(device),
        "curves": progress.curves,
    }
    write_json(arguments.out / "training.json", record)
    print(
        f"{folder.name}: best epoch {progress.best_epoch}, val Dice {val['dice']:.4f}, "
        f"test Dice {test['dice']:.4f}, IoU {test['iou']:.4f}; wrote {path}",
        file=sys.stderr,
    )
    return record


def _folder_path(name: str) -> Path:
    path = Path(name)
    return path if len(path.parts) > 1 or path.is_dir() else MODELS / name


def _initial_network(opened: TrainingFolder, recipe: Recipe, init: Path | None) -> torch.nn.Module:
    torch.manual_seed(recipe.seed)
    network = opened.build()
    if init is not None:
        network.load_state_dict(load_weights(init))
    return network


def _initial_record(weights: Path) -> dict[str, Any]:
    """Which weights a run started from, with how they were trained where their own record lies beside them."""
    digest = sha256_file(weights)
    beside = weights.with_name("training.json")
    record = read_json(beside) if beside.is_file() else {}
    known = record.get("weights", {}).get("sha256") == digest
    kept = ("recipe", "data", "best_epoch", "val", "initial", "curves")
    return {"sha256": digest, "record": {key: record.get(key) for key in kept} if known else None}


def _command(argv: Sequence[str]) -> str:
    """The command line with paths shortened to their names: where files lay is nobody else's concern."""
    return " ".join(["python", "models/train.py", *(Path(word).name if "/" in word else word for word in argv)])


def _environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "safetensors": safetensors.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "threads": torch.get_num_threads(),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: user errors go to stderr in one sentence."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        train(parse_arguments(given), given)
    except EdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
