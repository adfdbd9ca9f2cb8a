"""The training recipe: one frozen dataclass, read from ``[training]`` and overridden by the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from edge.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        loss: a name of ``training.losses.LOSSES``.
        epochs: epochs on random crops.
        finetune_epochs: epochs on larger crops that follow, as a rule at the task's full size.
        crop, finetune_crop: side of the random crops of either phase, in pixels; 0 is the full size.
        batch, finetune_batch: images in a step of either phase.
        lr: peak learning rate of AdamW; the second phase restarts at ``finetune_lr`` times it.
        finetune_lr: see ``lr``.
        warmup: share of the first phase spent on a linear warm-up.
        weight_decay: AdamW's, on tensors of two and more axes only.
        clip: largest gradient norm.
        ema: decay of the averaged weights per step; those are the ones validated and kept.
        norm_momentum: batch norm momentum while training; 0 leaves the network's own.
        zoom: largest scale jitter, as a factor either way.
        affine: probability of free rotation and scale jitter (flips and quarter turns always apply).
        colour: strength of brightness, contrast, gamma, channel and blur jitter; 0 turns it off.
        invert: probability of inverted intensities.
        balance: manifest column whose values are sampled more evenly than they occur; "" for none.
        balance_power: a value that occurs n times is drawn in proportion to n to this power.
        serp: SeRP self-distillation (LiteNeXt), off by default.
        amp: bfloat16 autocast.
        channels_last: memory format.
        seed: of initial weights, order and augmentation.
        validate_every: epochs between validations (the last epochs of each phase always validate).
    """

    loss: str
    epochs: int = 60
    finetune_epochs: int = 8
    crop: int = 128
    finetune_crop: int = 0
    batch: int = 16
    finetune_batch: int = 8
    lr: float = 2e-3
    finetune_lr: float = 0.25
    warmup: float = 0.05
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.99
    norm_momentum: float = 0.0
    zoom: float = 1.4
    affine: float = 0.5
    colour: float = 1.0
    invert: float = 0.05
    balance: str = "modality"
    balance_power: float = 0.75
    serp: bool = False
    amp: bool = True
    channels_last: bool = True
    seed: int = 0
    validate_every: int = 1

    @classmethod
    def from_tables(cls, table: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> Recipe:
        """The folder's ``[training]`` table with the command line's values on top.

        Raises:
            InputError: an unknown key, or no loss.
        """
        known = {f.name for f in fields(cls)}
        merged = {**table, **{key: value for key, value in overrides.items() if value is not None}}
        unknown = sorted(set(merged) - known)
        if unknown:
            raise InputError(f"{where}: unknown training key {unknown[0]!r}; known: {', '.join(sorted(known))}")
        if "loss" not in merged:
            raise InputError(f"{where}: [training] names no loss; add loss = ...")
        return cls(**merged)

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases."""
        return self.epochs + self.finetune_epochs

    def finetuning(self, epoch: int) -> bool:
        """Whether this epoch (from 0) belongs to the second phase."""
        return epoch >= self.epochs

    def batch_of(self, epoch: int) -> int:
        """Images in a step of this epoch."""
        return self.finetune_batch if self.finetuning(epoch) else self.batch

    def side_of(self, epoch: int, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of this epoch's crops from images of ``size``."""
        crop = self.finetune_crop if self.finetuning(epoch) else self.crop
        return (min(crop, size[0]), min(crop, size[1])) if crop else size

    def learning_rate(self, epoch: float) -> float:
        """Learning rate at a fractional epoch: warm-up and cosine, then a lower cosine for the second phase."""
        if epoch < self.epochs:
            progress = epoch / self.epochs
            if progress < self.warmup:
                return self.lr * max(progress / self.warmup, 0.02)
            return self.lr * _cosine((progress - self.warmup) / (1.0 - self.warmup), floor=0.02)
        progress = (epoch - self.epochs) / max(self.finetune_epochs, 1)
        return self.lr * self.finetune_lr * _cosine(progress, floor=0.01)


def _cosine(progress: float, floor: float) -> float:
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
