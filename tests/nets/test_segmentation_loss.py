"""Dice and cross-entropy: MONAI's on dense maps, nothing from unlabelled voxels."""

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional as F

from scanlearn.nets.segmentation_loss import IGNORE, dice_cross_entropy, soft_dice


def test_equals_monai_where_every_voxel_is_labelled() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, 7)
    labels = torch.randint(0, 4, (2, 6, 5, 7))
    dice = DiceLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        batch=True,
        smooth_nr=0,
        smooth_dr=0,
    )
    expected = dice(logits, labels[:, None]) + F.cross_entropy(logits, labels)
    torch.testing.assert_close(dice_cross_entropy(logits, labels), expected)


def test_hand_made_with_one_class_absent_and_voxels_unlabelled() -> None:
    logits = torch.zeros(1, 3, 1, 1, 4)
    logits[0, 1, 0, 0, 0] = math.log(2)  # probabilities 1/4, 1/2, 1/4
    labels = torch.tensor([1, 0, IGNORE, IGNORE]).view(1, 1, 1, 4)
    entropy = (math.log(2) + math.log(3)) / 2
    overlap, total = 1 / 2, (1 / 2 + 1 / 3) + 1
    expected = entropy + 1 - 2 * overlap / total
    assert float(dice_cross_entropy(logits, labels)) == pytest.approx(expected)


def test_unlabelled_voxels_have_no_say() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4, 4))
    labels[torch.rand(labels.shape) < 0.7] = IGNORE
    loss = dice_cross_entropy(logits, labels)
    loss.backward()
    unlabelled = (labels == IGNORE)[:, None].expand_as(logits)
    assert (logits.grad[unlabelled] == 0).all()
    assert (logits.grad[~unlabelled] != 0).all()
    changed = torch.where(unlabelled, torch.randn(logits.shape), logits.detach())
    torch.testing.assert_close(dice_cross_entropy(changed, labels), loss.detach())


def test_nothing_labelled_costs_nothing() -> None:
    logits = torch.randn(1, 2, 2, 2, 2, requires_grad=True)
    loss = dice_cross_entropy(logits, torch.full((1, 2, 2, 2), IGNORE))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (logits.grad == 0).all()


def test_background_alone_is_cross_entropy_alone() -> None:
    logits = torch.randn(1, 3, 2, 2, 2)
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.long)
    expected = F.cross_entropy(logits, labels)
    torch.testing.assert_close(dice_cross_entropy(logits, labels), expected)


def test_class_weights_reach_the_cross_entropy() -> None:
    torch.manual_seed(2)
    logits, weights = torch.randn(1, 3, 3, 3, 3), torch.tensor([0.2, 1.0, 3.0])
    labels = torch.randint(0, 3, (1, 3, 3, 3))
    entropy = F.cross_entropy(logits, labels, weight=weights)
    dice = soft_dice(logits.softmax(dim=1), labels, torch.ones_like(labels).bool())
    found = dice_cross_entropy(logits, labels, class_weights=weights)
    torch.testing.assert_close(found, entropy + dice)


def test_a_perfect_prediction_costs_almost_nothing() -> None:
    labels = torch.randint(0, 3, (2, 4, 4, 4))
    logits = F.one_hot(labels, 3).movedim(-1, 1) * 30.0
    assert float(dice_cross_entropy(logits, labels)) < 1e-5
