"""Soft Dice and cross-entropy over the voxels that somebody labelled."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from scanlearn import processes

#: Label of voxels that no one has looked at: they count neither for nor against.
IGNORE = 255


def dice_cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None
) -> Tensor:
    """Mean of soft Dice (classes above 0 that are present) plus cross-entropy.

    Parameters
    ----------
    logits
        (B, C, D, H, W) scores.
    labels
        (B, D, H, W) class numbers, :data:`IGNORE` where unlabelled.
    class_weights
        (C,) weights of the cross-entropy.

    Returns
    -------
    Tensor
        A scalar; zero, with a gradient of zero, when nothing is labelled.
    """
    known = labels != IGNORE
    logits = logits.float()
    entropy = F.cross_entropy(
        logits, labels, weight=class_weights, ignore_index=IGNORE, reduction="sum"
    )
    weights = 1.0 if class_weights is None else class_weights[labels.where(known, 0)]
    count = processes.summed((known * weights).sum().float())
    if not count:
        return logits.sum() * 0.0
    dice = soft_dice(logits.softmax(dim=1), labels, known)
    return processes.summed(entropy) / count + dice


def soft_dice(probabilities: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """1 - soft Dice over known voxels, averaged over foreground classes present.

    The whole batch, of all processes, is one sample: with few labels most tiles hold
    few classes.
    """
    classes = probabilities.shape[1]
    target = F.one_hot(labels.where(known, 0), classes).movedim(-1, 1)
    mask = known[:, None]
    target = target * mask
    sums = (0, 2, 3, 4)
    there = processes.summed(target.sum(sums)[1:].float())
    overlap = processes.summed((probabilities * target).sum(sums)[1:])
    total = processes.summed((probabilities * mask).sum(sums)[1:]) + there
    present = there > 0
    if not present.any():
        return probabilities.sum() * 0.0
    dice = (2 * overlap[present]) / total[present].clamp_min(1e-6)
    return 1 - dice.mean()
