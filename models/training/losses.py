"""Losses by name.  Each takes what the network returns in training mode and the masks.

``output`` is a map of logits ``N x K x H x W`` (or a tuple of them under deep supervision); ``masks`` are
``N x H x W`` uint8 class indices.  All are computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Output: TypeAlias = Tensor | Sequence[Tensor]
Loss: TypeAlias = Callable[[Output, Tensor], Tensor]

MARGIN_WINDOW = 7  # side of LiteNeXt's dilation and erosion


def single(output: Output) -> Tensor:
    """The only map of a network without deep supervision, float32."""
    if not isinstance(output, Tensor):
        raise TypeError("this loss takes one map; a network with several outputs needs a deep supervision loss")
    return output.float()


def binary_cross_entropy(output: Output, masks: Tensor) -> Tensor:
    """Mean binary cross-entropy of a single foreground map."""
    return functional.binary_cross_entropy_with_logits(single(output)[:, 0], masks.float())


def cross_entropy(output: Output, masks: Tensor) -> Tensor:
    """Mean cross-entropy of the softmax over one map a class, background first."""
    return functional.cross_entropy(single(output), masks.long())


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - mean over images of soft Dice.  ``N x H x W`` logits and 0/1 target -> scalar."""
    probability = logits.sigmoid().flatten(1)
    target = target.flatten(1)
    overlap = 2.0 * (probability * target).sum(dim=1)
    # A pixel of smoothing: an image without foreground scores 1 once its map is empty.
    return 1.0 - ((overlap + 1.0) / (probability.sum(dim=1) + target.sum(dim=1) + 1.0)).mean()


def binary_cross_entropy_dice(output: Output, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice."""
    return binary_cross_entropy(output, masks) + soft_dice(single(output)[:, 0], masks.float())


@dataclass(frozen=True)
class MarginalWeightDice:
    """LiteNeXt's Marginal Weight Loss plus soft Dice.

    Attributes:
        inside, background, margin: weights of object, background and the band between their erosions.
    """

    inside: float
    background: float
    margin: float

    def __call__(self, output: Output, masks: Tensor) -> Tensor:
        logits, target = single(output), masks[:, None].float()
        weights = self.weights(target)
        entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (weights * entropy).sum() / weights.sum() + soft_dice(logits[:, 0], target[:, 0])

    def weights(self, target: Tensor) -> Tensor:
        """The weight map.  ``N x 1 x H x W`` 0/1 float -> the same shape.

        Dilated minus eroded mask is the margin; zero padding, so objects at the border are eroded there.
        """
        half = MARGIN_WINDOW // 2
        dilated = functional.max_pool2d(target, MARGIN_WINDOW, stride=1, padding=half)
        mean = functional.avg_pool2d(target, MARGIN_WINDOW, stride=1, padding=half)
        eroded = torch.floor(mean + 0.01)
        return self.margin * (dilated - eroded) + self.inside * eroded + self.background * (1.0 - dilated)


def lovasz_gradient(sorted_target: Tensor) -> Tensor:
    """Gradient of the Lovasz extension of the Jaccard loss (Berman et al., CVPR 2018).

    Args:
        sorted_target: ``P`` float 0/1, in order of falling error.
    """
    total = sorted_target.sum()
    intersection = total - sorted_target.cumsum(0)
    union = total + (1.0 - sorted_target).cumsum(0)
    jaccard = 1.0 - intersection / union
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


def lovasz_softmax(output: Output, masks: Tensor) -> Tensor:
    """Lovasz-Softmax over the classes present in the batch."""
    probabilities = single(output).softmax(dim=1)
    terms = []
    for index in range(probabilities.shape[1]):
        target = (masks == index).flatten().float()
        if target.any():
            errors = (target - probabilities[:, index].flatten()).abs()
            ordered, order = errors.sort(descending=True)
            terms.append(ordered @ lovasz_gradient(target[order]))
    return torch.stack(terms).mean()


def averaged_bce(output: Output, masks: Tensor) -> Tensor:
    """Binary cross-entropy of the mean of the maps' probabilities, in log space."""
    stacked, target = torch.stack(_maps(output)), masks.float()
    count = torch.tensor(float(len(stacked)), device=target.device).log()
    log_yes = functional.logsigmoid(stacked).logsumexp(0) - count
    log_no = functional.logsigmoid(-stacked).logsumexp(0) - count
    return -(target * log_yes + (1.0 - target) * log_no).mean()


def deep_supervision_bce(output: Output, masks: Tensor) -> Tensor:
    """Binary cross-entropy on every map and on the mean of their probabilities, summed with equal weight."""
    target = masks.float()
    each = [functional.binary_cross_entropy_with_logits(logits, target) for logits in _maps(output)]
    return torch.stack(each).sum() + averaged_bce(output, masks)


def _maps(output: Output) -> list[Tensor]:
    """Every map as ``N x H x W`` float32."""
    return [logits.float()[:, 0] for logits in ([output] if isinstance(output, Tensor) else output)]


LOSSES: Mapping[str, Loss] = {
    "bce": binary_cross_entropy,
    "bce_dice": binary_cross_entropy_dice,
    "cross_entropy": cross_entropy,
    "marginal_weight_dice": MarginalWeightDice(inside=3.0, background=5.0, margin=2.0),  # as released
    "marginal_weight_dice_strong": MarginalWeightDice(inside=3.0, background=5.0, margin=6.0),  # margin above all
    "lovasz_softmax": lovasz_softmax,
    "averaged_bce": averaged_bce,
    "deep_supervision_bce": deep_supervision_bce,
}
