"""The training loop: seeded, resumable after every epoch, stoppable at any step."""

from __future__ import annotations

import copy
import math
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from edge.errors import InputError
from edge.files import replaced_file
from edge.images.image_set import ImageSet
from edge.task.task import SegmentationTask
from training.augment import Augmentation
from training.data import TrainingImages
from training.ema import StateAverage
from training.losses import LOSSES
from training.recipe import Recipe
from training.scores import score
from training.serp import SelfEmbedding


@dataclass
class Progress:
    """What is known so far.

    Attributes:
        epoch: epochs done.
        curves: one row per epoch: size, learning rate, loss, validation Dice, seconds.
        best_epoch, best_scores, best_state: the best averaged state on the validation split.
    """

    epoch: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_scores: dict[str, float] = field(default_factory=dict)
    best_state: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Trains one network on one image set by one recipe."""

    def __init__(
        self,
        network: nn.Module,
        task: SegmentationTask,
        recipe: Recipe,
        train: TrainingImages,
        val: ImageSet,
        device: torch.device,
    ) -> None:
        """Prepare a run.

        Args:
            network: with its initial weights, made under the recipe's seed.
            task: how outputs are read at validation.
            recipe: how to train.
            train: the train split in memory.
            val: the split that picks the best epoch.
            device: where to train.
        """
        if recipe.loss not in LOSSES:
            raise InputError(f"training: loss {recipe.loss!r} is not one of {', '.join(LOSSES)}")
        if min(recipe.batch, recipe.finetune_batch) > len(train):
            raise InputError(f"training: a batch of {recipe.batch} needs as many images; the split has {len(train)}")
        self._task, self._recipe, self._train, self._val = task, recipe, train, val
        self._device = device
        self._format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self._network = network.to(device=device, memory_format=self._format)
        if recipe.norm_momentum:
            _set_norm_momentum(self._network, recipe.norm_momentum)
        self._loss = LOSSES[recipe.loss]
        low, high = train.value_range
        self._augment = Augmentation(recipe.zoom, recipe.affine, recipe.colour, recipe.invert, low, high)
        self._serp = SelfEmbedding(self._network, self._probe()).to(device) if recipe.serp else None
        self._optimizer = torch.optim.AdamW(_decay_groups(self._trained_modules(), recipe), lr=recipe.lr)
        self._average = StateAverage(self._network, recipe.ema)
        self.progress = Progress()
        self._stop = False

    def run(self, checkpoint: Path) -> bool:
        """Train to the end, writing ``checkpoint`` after every epoch.

        A termination signal ends the run after the step in hand, with the best state so far kept.

        Returns:
            Whether all epochs were done.
        """
        old = {s: signal.signal(s, self._request_stop) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            with self._progress_bar() as bar:
                while self.progress.epoch < self._recipe.total_epochs and not self._stop:
                    if self._run_epoch(bar):
                        self.save(checkpoint)
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
        return self.progress.epoch >= self._recipe.total_epochs

    def save(self, path: Path) -> None:
        """Write the whole state through a temporary sibling."""
        progress = asdict(self.progress)
        with replaced_file(path) as sibling:
            torch.save(
                {
                    "recipe": asdict(self._recipe),
                    "network": self._network.state_dict(),
                    "average": self._average.to_checkpoint(),
                    "optimizer": self._optimizer.state_dict(),
                    "serp": self._serp.state_dict() if self._serp else {},
                    "progress": progress,
                },
                sibling,
            )

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe.

        Raises:
            InputError: there is none, or its recipe differs; the message names the first difference.
        """
        if not path.is_file():
            raise InputError(f"{path}: no checkpoint to resume; train without --resume")
        saved: Mapping[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
        mine = asdict(self._recipe)
        for key, value in saved["recipe"].items():
            if mine.get(key) != value:
                raise InputError(
                    f"{path}: was trained with {key} = {value!r}, not {mine.get(key)!r}; use another --out"
                )
        self._network.load_state_dict(saved["network"])
        self._average.load_checkpoint(saved["average"])
        self._optimizer.load_state_dict(saved["optimizer"])
        if self._serp:
            self._serp.load_state_dict(saved["serp"])
        self.progress = Progress(**saved["progress"])

    def _run_epoch(self, bar: Any) -> bool:
        """One epoch and its validation; False when it was cut short."""
        recipe, epoch, began = self._recipe, self.progress.epoch, time.monotonic()
        # Every epoch has its own seeds, so a resumed run repeats an uninterrupted one.
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
        torch.manual_seed(recipe.seed * 100_003 + epoch + 50_000)
        side = recipe.side_of(epoch, self._task.size)
        order = self._train.epoch_order(recipe.balance_power, generator)
        batches = [b for b in order.split(recipe.batch_of(epoch)) if len(b) == recipe.batch_of(epoch)]
        self._network.train()
        losses = []
        for step, indices in enumerate(batches):
            rate = recipe.learning_rate(epoch + step / len(batches))
            losses.append(self._step(indices, side, rate, generator))
            best = self.progress.best_scores.get("dice", math.nan)
            bar.set_postfix(epoch=epoch + 1, loss=f"{losses[-1]:.3f}", best_val_dice=f"{best:.4f}", refresh=False)
            bar.update(len(indices) * side[0] * side[1])
            if self._stop:
                return False
        row = {
            "epoch": epoch + 1,
            "side": side[0],
            "lr": recipe.learning_rate(epoch),
            "loss": sum(losses) / len(losses),
        }
        if self._validates(epoch):
            row["val_dice"] = self._validate(epoch + 1)
        row["seconds"] = round(time.monotonic() - began, 2)
        self.progress.curves.append(row)
        self.progress.epoch = epoch + 1
        bar.write("  ".join(f"{key} {value:.5g}" for key, value in row.items()))
        return True

    def _step(self, indices: Tensor, side: tuple[int, int], rate: float, generator: torch.Generator) -> float:
        inputs = self._train.inputs[indices].to(self._device).float()
        masks = self._train.masks[indices].to(self._device)
        images, targets = self._augment(inputs, masks, side, generator)
        images = images.contiguous(memory_format=self._format)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._recipe.amp):
            output = self._network(images)
            extra = self._self_embedding_loss(images, generator)
        loss = self._loss(output, targets) + extra
        loss.backward()
        parameters = [p for g in self._optimizer.param_groups for p in g["params"]]
        nn.utils.clip_grad_norm_(parameters, self._recipe.clip)
        self._optimizer.step()
        self._average.update(self._network)
        if self._serp:
            self._serp.update(self._network)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError("training: the loss is not finite; lower --lr or train without --amp")
        return value

    def _self_embedding_loss(self, images: Tensor, generator: torch.Generator) -> Tensor | float:
        if self._serp is None:
            return 0.0
        strong = self._augment.recolour(images.contiguous(), generator)
        loss: Tensor = self._serp(self._network, strong, images)
        return loss

    def _validate(self, epoch: int) -> float:
        scored = copy.deepcopy(self._network)
        scored.load_state_dict(self._average.state)
        scores = score(scored, self._val, self._task, self._device)
        if not self.progress.best_scores or scores["dice"] > self.progress.best_scores["dice"]:
            self.progress.best_epoch, self.progress.best_scores = epoch, scores
            self.progress.best_state = {k: v.detach().cpu().clone() for k, v in self._average.state.items()}
        return scores["dice"]

    def _validates(self, epoch: int) -> bool:
        ends = (self._recipe.epochs, self._recipe.total_epochs)
        return (epoch + 1) % self._recipe.validate_every == 0 or epoch + 1 in ends

    def _progress_bar(self) -> Any:
        """Counts pixels, so that the time left is right for both phases."""
        recipe = self._recipe
        pixels = [
            len(self._train) // recipe.batch_of(e) * recipe.batch_of(e) * math.prod(recipe.side_of(e, self._task.size))
            for e in range(recipe.total_epochs)
        ]
        return tqdm(
            total=sum(pixels),
            initial=sum(pixels[: self.progress.epoch]),
            unit="px",
            unit_scale=True,
            dynamic_ncols=True,
            # A log file needs no more than a line now and then.
            mininterval=0.2 if sys.stderr.isatty() else 60.0,
        )

    def _trained_modules(self) -> list[nn.Module]:
        return [self._network, *([self._serp] if self._serp else [])]

    def _probe(self) -> Tensor:
        return torch.zeros(1, self._task.in_channels, *self._recipe.side_of(0, self._task.size), device=self._device)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop = True


def read_progress(path: Path) -> Progress:
    """The progress inside a checkpoint, on the CPU.

    Raises:
        InputError: there is no checkpoint.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint; train first")
    return Progress(**torch.load(path, map_location="cpu", weights_only=True)["progress"])


def _decay_groups(modules: list[nn.Module], recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay on kernels only: norms and biases are one-dimensional."""
    parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _set_norm_momentum(network: nn.Module, momentum: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = momentum
